"""The servers under load, each a process of its own: `python -m bench.server noop|zimun|anew DIR`.

`anew` is Zimun that keeps no availability answers, to see what a search costs.

Prints one line of JSON when it serves: the gRPC port and, for zimun, a token.
"""

import json
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import catalogue
from zimun import app
from zimun.auth.keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.booking.availability import AnswerCache
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.access import SCOPES, Client
from zimun.domain.instant import DAY

BUSY_DAYS = 35


async def noop() -> None:
    async def echo(request: bytes, _: object) -> bytes:
        return request

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    handlers = grpc.method_handlers_generic_handler("bench.Noop", {"Call": handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _announce(port=port)
    await app.stop_signal().wait()
    await server.stop(0)


async def zimun(directory: Path) -> None:
    settings = Settings(data_dir=directory, grpc_port=0, auth_port=0)
    clock = WallClock()
    async with app.serve(settings, clock) as server:
        tomorrow = (clock.now() // DAY + 1) * DAY
        writer = server.stores.writer
        await catalogue.seed(writer)
        await catalogue.book(writer, catalogue.busy_days(tomorrow, BUSY_DAYS))
        await catalogue.book(writer, catalogue.busy_month(tomorrow, 31, 10_000))
        keys = await KeyStore.open(server.stores.credentials)
        issuer = Issuer(keys, settings.public_issuer, settings.audience, lifetime=3600)
        client = Client("c_bench", catalogue.ORG_ID, "Bench", SCOPES, "", 0)
        _announce(port=server.grpc_port, token=issuer.issue(client, SCOPES), tomorrow=tomorrow)
        await app.stop_signal().wait()


def _announce(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "anew":
        AnswerCache.get = lambda *_: None  # type: ignore[method-assign]
    uvloop.run(noop() if kind == "noop" else zimun(Path(sys.argv[2])))
