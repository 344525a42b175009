"""One module for each gRPC service; each method decodes, calls, encodes."""
