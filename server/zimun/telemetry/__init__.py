"""What an operator sees of a running server: metrics, log lines, traces."""
