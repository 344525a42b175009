"""The gateway: Envoy's configuration as plain dicts, and Envoy as a child process.

One module for each concern. It knows the service from the compiled contract alone and imports
nothing of the server.
"""

from .bootstrap import build, dump
from .settings import Settings

__all__ = ["Settings", "build", "dump"]
