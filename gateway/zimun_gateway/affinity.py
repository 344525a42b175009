"""Calls of one organization go to one server while it is healthy.

Its memory is then warm for the organization, and the organization's commands meet in one group.
Correctness never depends on it: every server answers for every organization.

The organization is a claim of the verified token. Envoy stores it in its filter state, which
clients cannot write and which is not sent to servers: there is no header to forge or to remove. A
call without a verified organization goes to a random server.
"""

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .config import Config, extension

_KEY = "zimun.organization"
_CLAIM = "org_id"


def organization_filter() -> Config:
    """Stores the verified organization for `hash_by_organization`; it comes after `jwt_filter`.

    A hash policy ignores strings that are not hashable, such as `envoy.string`.
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


def hash_by_organization() -> list[Config]:
    """The `hash_policy` of a route: servers are chosen by organization."""
    return [{"filter_state": {"key": _KEY}}]
