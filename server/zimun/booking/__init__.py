"""What we do: one function for every RPC, written once for every store."""
