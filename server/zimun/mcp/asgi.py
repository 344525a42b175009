"""Runs an ASGI application for one request of aiohttp, whose response is sent whole."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aiohttp import web

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


async def respond(
    application: Application, request: web.Request, body: bytes, state: Message
) -> web.Response:
    """The response of an application; `state` is what its handlers find in the scope."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    head: Message = {"status": 500, "headers": []}
    parts: list[bytes] = []

    async def receive() -> Message:
        if not pending:
            await asyncio.Event().wait()  # until the application ends: a disconnect is not reported
        return pending.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            parts.append(message.get("body", b""))

    await application(_scope(request, state), receive, send)
    response = web.Response(status=head["status"], body=b"".join(parts))
    for name, value in head["headers"]:
        if name.lower() != b"content-length":
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
    return response


def _scope(request: web.Request, state: Message) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": None,
        "server": None,
        "state": state,
    }
