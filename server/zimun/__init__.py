"""Zimun: appointment scheduling and booking. `zimun.v1` has the stubs, `zimun.client` a client."""
