"""Tools for agents by the Model Context Protocol, at `/o/{org_id}/mcp` of the token port.

The package `mcp` (`zimun[mcp]`) speaks the protocol. It is imported with the first request of an
organization that admits agents.
"""
