"""Calls of one organization go to one server while it is healthy.

Its memory is then warm for the organization, and the organization's commands meet in one group. The
organization is the claim of the verified token. It travels in Envoy's filter state, which no client
can write and no server is sent: there is no header to forge or to remove. A call without a verified
organization goes to any server.

Nothing depends on it for its correctness: every server answers for every organization.
"""

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .proto import Config, extension

_KEY = "zimun.organization"
_CLAIM = "org_id"


def organization_filter() -> Config:
    """Keeps the verified organization for `by_organization`; it comes after the token's filter.

    Only a string that Envoy calls hashable is seen by a hash policy: `envoy.string` is not.
    """
    organization = f"%DYNAMIC_METADATA({JWT_FILTER}:{CLAIMS}:{_CLAIM})%"
    return extension(
        "envoy.filters.http.set_filter_state",
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=[
            {
                "object_key": _KEY,
                "factory_key": "envoy.hashable_string",
                "format_string": {
                    "text_format_source": {"inline_string": organization},
                    "omit_empty_values": True,
                },
                "skip_if_empty": True,
                "read_only": True,
            }
        ],
    )


def by_organization() -> list[Config]:
    """For a route's hash_policy."""
    return [{"filter_state": {"key": _KEY}}]
