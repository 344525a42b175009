"""The token endpoint (RFC 6749), the one path that is not in the contract."""

from typing import Any, NamedTuple

Object = dict[str, Any]

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path

_INVALID = "invalid_request"
_LATER = "temporarily_unavailable"


class _Error(NamedTuple):
    """What a status means, and the body that it has, as an example."""

    meaning: str
    error: str
    error_description: str

    def example(self) -> Object:
        return {"error": self.error, "error_description": self.error_description}


_ERRORS = {
    400: _Error(
        "The request is malformed, or asks for an unknown grant or scope, or for no scope that the "
        "client may have.",
        "invalid_scope",
        "a scope is unknown or malformed",
    ),
    401: _Error(
        "The client's id or secret is wrong.",
        "invalid_client",
        "unknown client, wrong secret or revoked",
    ),
    408: _Error("The request did not arrive in time.", _LATER, "the request took too long"),
    413: _Error("The body is too large.", _INVALID, "the request is too large"),
    429: _Error(
        "Too many requests, or too many wrong secrets: `Retry-After` says when to go on.",
        _LATER,
        "too many requests",
    ),
    431: _Error("Path, query and headers are too large.", _INVALID, "the headers are too large"),
    500: _Error("An unexpected error.", "server_error", "an internal error"),
    502: _Error("The answer was lost: ask again.", _LATER, "the token endpoint cannot answer now"),
    503: _Error(
        "The token endpoint cannot answer now: ask again after `Retry-After` seconds.",
        _LATER,
        "the token endpoint cannot answer now",
    ),
    504: _Error("The request took too long: ask again.", _LATER, "the request took too long"),
}


def token_path() -> Object:
    """The path of the token endpoint."""
    return {TOKEN_PATH: {"post": _operation()}}


def token_schemas() -> Object:
    """The schemas of its form, answer and errors."""
    return {"TokenRequest": _REQUEST, "Token": _TOKEN, "TokenError": _ERROR}


def _operation() -> Object:
    form = {"schema": {"$ref": "#/components/schemas/TokenRequest"}}
    return {
        "operationId": "CreateToken",
        "tags": ["Tokens"],
        "summary": "Gives a token for the client's credentials",
        "description": "The client credentials grant (RFC 6749, 4.4). The client authenticates by "
        "HTTP Basic, or with `client_id` and `client_secret` in the form.",
        "security": [{"client": []}, {}],
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": form
                | {"example": {"grant_type": "client_credentials"}}
            },
        },
        "responses": {
            "200": _answer("The token.", "Token", _TOKEN_EXAMPLE),
            **{
                str(status): _answer(error.meaning, "TokenError", error.example())
                for status, error in _ERRORS.items()
            },
        },
    }


def _answer(description: str, schema: str, example: Object) -> Object:
    media = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": media}}


_TEXT = {"type": "string"}

_REQUEST = {
    "type": "object",
    "description": "The form of a request for a token.",
    "properties": {
        "grant_type": {"type": "string", "const": "client_credentials"},
        "scope": _TEXT
        | {
            "description": "Scopes separated by blanks. Those of them that the client may have are "
            "granted, all of the client's unless given."
        },
        "client_id": _TEXT,
        "client_secret": _TEXT | {"format": "password"},
    },
    "required": ["grant_type"],
}

_TOKEN = {
    "type": "object",
    "description": "A bearer token (RFC 6749, 5.1).",
    "properties": {
        "access_token": _TEXT,
        "token_type": {"type": "string", "const": "Bearer"},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "scope": _TEXT | {"description": "The granted scopes, separated by blanks."},
    },
    "required": ["access_token", "token_type", "expires_in", "scope"],
}

_TOKEN_EXAMPLE = {
    "access_token": "eyJ…",
    "token_type": "Bearer",
    "expires_in": 900,
    "scope": "org:read org:write availability:read appointments:read appointments:write "
    "appointments:override",
}

_ERROR = {
    "type": "object",
    "description": "A refusal (RFC 6749, 5.2).",
    "properties": {"error": _TEXT, "error_description": _TEXT},
    "required": ["error"],
}
