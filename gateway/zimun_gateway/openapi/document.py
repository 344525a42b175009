"""The whole document: information, paths, components."""

from pathlib import Path
from typing import Any

from ..http_rules import rules_of
from .annotated import Api
from .operations import SECURITY, Operations, refusal, tag
from .reasons import GATEWAY, by_status, example, example_name
from .schemas import Schemas
from .token_endpoint import TOKEN_PATH, token_path, token_schemas

Object = dict[str, Any]

_SCOPES = {
    "org:read": "Read the organization and its catalogue.",
    "org:write": "Change the organization and its catalogue.",
    "availability:read": "Search open slots.",
    "appointments:read": "Read appointments.",
    "appointments:write": "Hold, confirm, reschedule and cancel.",
    "appointments:override": "Set rules of booking aside, beside `appointments:write`.",
}

_DESCRIPTION = """\
A slot that is offered can be held, and nothing is ever sold twice.

**The flow:** list services, read open slots, hold one (`POST /api/v1/appointments/hold`), confirm
the hold within ten minutes; reschedule or cancel the appointment.

**Tokens:** `POST /oauth/token` with the client's id and secret (client credentials, RFC 6749). Send
the token as `Authorization: Bearer …`.

**Repeating:** after 429 and 503 wait as `Retry-After` says; after 502, 504 or a lost connection the
outcome is unknown. With the same `Idempotency-Key` a change never takes effect twice.

**Errors** have one shape; programs branch on the `reason` of the first detail.

Times are RFC 3339. Fields and values may be added to answers: ignore those that you do not know.
"""


def document(descriptors: Path) -> Object:
    """The OpenAPI 3.1 document of the compiled contract."""
    api = Api(descriptors)
    operation_rules = rules_of(api.methods())
    schemas = Schemas(
        api,
        [message for rule in operation_rules if (message := rule.body_message)],
        [rule.method.output_type for rule in operation_rules],
        [rule.request for rule in operation_rules],
    )
    operations = Operations(api, schemas, operation_rules)
    failures = dict.fromkeys(
        failure for rule in operation_rules for failure in operations.failures(rule)
    )
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Zimun",
            "version": "1",
            "summary": "Appointment scheduling and booking.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "tags": _tags(api),
        "paths": token_path() | operations.paths(),
        "components": {
            "schemas": schemas.components() | token_schemas(),
            "responses": {str(s): refusal(s, f) for s, f in by_status(GATEWAY).items()},
            "examples": {example_name(f): example(api, f) for f in failures},
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
            "headers": _HEADERS,
            "securitySchemes": {SECURITY: _oauth2(api), "client": _BASIC},
        },
    }


def required_scopes(descriptors: Path) -> list[str]:
    """Every scope that a method or a field of the compiled contract requires, sorted."""
    return _required_scopes(Api(descriptors))


def _required_scopes(api: Api) -> list[str]:
    fields = [field for method in api.methods() for field in method.input_type.fields]
    scopes = {api.option(method, "required_scope") for method in api.methods()}
    return sorted((scopes | {api.option(field, "field_scope") for field in fields}) - {None})


def _tags(api: Api) -> list[Object]:
    services = {method.containing_service: tag(method) for method in api.methods()}
    tokens_tag = {"name": "Tokens", "description": "Tokens of API clients."}
    return [
        tokens_tag,
        *(
            {"name": name, "description": _about(api.comment(service.full_name))}
            for service, name in services.items()
        ),
    ]


def _about(comment: str) -> str:
    """What a service is, without what holds for every method: the operations say that."""
    paragraphs = comment.split("\n\n")
    return "\n\n".join(text for text in paragraphs if not text.startswith("Every method"))


def _oauth2(api: Api) -> Object:
    scopes = {name: _SCOPES[name] for name in _required_scopes(api)}
    flow = {"tokenUrl": TOKEN_PATH, "scopes": scopes}
    return {
        "type": "oauth2",
        "description": "A token of an API client, bound to one organization.",
        "flows": {"clientCredentials": flow},
    }


_BASIC = {
    "type": "http",
    "scheme": "basic",
    "description": "The client's id and secret, for `/oauth/token` alone.",
}

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For 24 hours the same client, method, key and request get the first answer "
    "again, byte for byte, with no second effect. A new UUID for every change, the same one for "
    "its repetitions.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _header(description: str, schema: Object) -> Object:
    return {"description": description, "schema": schema}


_WHOLE = {"type": "integer", "minimum": 0}

_HEADERS = {
    "X-Request-Id": _header("Names the request in the logs.", {"type": "string"}),
    "X-RateLimit-Limit": _header("The client's bucket, and its window.", {"type": "string"}),
    "X-RateLimit-Remaining": _header("Requests left in the bucket.", _WHOLE),
    "X-RateLimit-Reset": _header("Seconds until the bucket is filled again.", _WHOLE),
    "Retry-After": _header("Seconds after which to try again.", _WHOLE),
    "WWW-Authenticate": _header("How to authenticate (RFC 6750).", {"type": "string"}),
}
