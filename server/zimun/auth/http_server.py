"""An HTTP server whose errors about malformed requests quote and log nothing of them."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

_log = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """aiohttp's connection, whose own error for a malformed request quotes a part of it."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A refusal as RFC 6749 section 5.2 shapes it; the connection is closed."""
        del message
        if request.writer.output_size:
            raise ConnectionError("an answer is under way")
        is_server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_server_error:
            _log.error("a response failed", exc_info=exc)
        error = "server_error" if is_server_error else "invalid_request"
        body = {"error": error, "error_description": HTTPStatus(status).phrase.lower()}
        answer = web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
        answer.force_close()
        return answer


class _Server(web.Server):
    """aiohttp's server with such connections."""

    def __call__(self) -> web.RequestHandler:
        # A body that cannot be decompressed would be an error of the server, also while it is
        # read to its end after the answer.
        return _Connection(self, loop=self._loop, **{**self._kwargs, "auto_decompress": False})


class Runner(web.AppRunner):
    """aiohttp's AppRunner with connections of this kind, for which aiohttp has no setting."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        server.request_factory = _without_host(server.request_factory)
        return server


def _without_host(make_request: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Requests whose URL has no host, which aiohttp would decode; it may be malformed."""

    def make(message: Any, *others: Any) -> web.BaseRequest:
        if message.url.absolute:
            message = message._replace(url=message.url.relative())
        return make_request(message, *others)

    return make
