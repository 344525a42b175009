"""The OpenAPI 3.1 document of the JSON API, written from the compiled contract.

Everything in it comes from the descriptors, with the comments of the protos, and from the tables in
which the gateway says what it answers by itself. So the document cannot differ from what is served.
"""

from .document import document, required_scopes
from .tools import tool_scopes, tools

__all__ = ["document", "required_scopes", "tool_scopes", "tools"]
