"""The use cases: what each RPC does, written once for every store."""
