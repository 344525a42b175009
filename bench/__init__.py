"""Load benchmarks. Each prints ratios to a no-op RPC measured in the same run."""
