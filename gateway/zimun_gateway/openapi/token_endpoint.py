"""The token endpoint (RFC 6749), the one path that is not in the contract."""

from typing import Any

Object = dict[str, Any]

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path

_ERRORS = {
    400: "The request is malformed, or asks for a grant or a scope that the client may not have.",
    401: "The client's id or secret is wrong.",
    408: "The request did not arrive in time.",
    413: "The body is too large.",
    429: "Too many requests, or too many wrong secrets: `Retry-After` says when to go on.",
    431: "Path, query and headers are too large.",
    500: "An unexpected error.",
    502: "The answer was lost: ask again.",
    503: "The token endpoint cannot answer now: ask again after `Retry-After` seconds.",
    504: "The request took too long: ask again.",
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
            "200": _answer("The token.", "Token"),
            **{str(status): _answer(text, "TokenError") for status, text in _ERRORS.items()},
        },
    }


def _answer(description: str, schema: str) -> Object:
    media = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": description, "content": {"application/json": media}}


_TEXT = {"type": "string"}

_REQUEST = {
    "type": "object",
    "description": "The form of a request for a token.",
    "properties": {
        "grant_type": {"type": "string", "const": "client_credentials"},
        "scope": _TEXT
        | {"description": "Scopes separated by blanks; all of the client's unless given."},
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
        "scope": _TEXT,
    },
    "required": ["access_token", "token_type", "expires_in", "scope"],
}

_ERROR = {
    "type": "object",
    "description": "A refusal (RFC 6749, 5.2).",
    "properties": {"error": _TEXT, "error_description": _TEXT},
    "required": ["error"],
}
