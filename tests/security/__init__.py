"""Attacks on a running Zimun: each must be refused, and none may take it down."""
