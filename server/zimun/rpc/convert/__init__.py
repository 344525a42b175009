"""Conversion between protobuf messages and domain values."""
