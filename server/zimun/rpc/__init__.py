"""gRPC: dispatch, admission, validation, servicers, conversion, and the one table of errors."""
