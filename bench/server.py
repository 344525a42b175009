"""The servers under load, each a process of its own.

`python -m bench.server noop`, or `python -m bench.server zimun|many DIRECTORY [DATABASE_URL]`.
Prints one line of JSON when it serves: the gRPC port, the process and, for zimun and many, which
has fifty organizations, tokens by organization.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import catalogue
from zimun import app
from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.identity import SCOPES, Client
from zimun.domain.instant import DAY


async def noop() -> None:
    async def echo(request: bytes, _: object) -> bytes:
        return request

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))

    async def empty(_: bytes, __: object) -> bytes:
        return b""

    add = server.add_generic_rpc_handlers
    for service, method, answer in (
        ("bench.Noop", "Call", echo),
        ("zimun.v1.ServicesService", "ListServices", empty),
    ):
        handler: Any = grpc.unary_unary_rpc_method_handler(answer)
        add((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    app.tune_garbage_collector()
    _announce(port=port)
    await app.stop_signal().wait()
    await server.stop(0)


async def zimun(directory: Path, database_url: str, many: bool) -> None:
    settings = Settings(
        data_dir=directory, database_url=database_url, grpc_port=0, auth_port=0, log_level="ERROR"
    )
    clock = WallClock()
    async with app.serve(settings, clock) as server:
        app.tune_garbage_collector()
        tomorrow = (clock.now() // DAY + 1) * DAY
        org_ids: tuple[str, ...] = (catalogue.SPEED_ORG_ID, *catalogue.SPEED_ORG_IDS)
        if many:
            org_ids = catalogue.MANY_ORG_IDS
            await catalogue.seed_many(server.stores.writer, tomorrow)
        else:
            await catalogue.seed_speed(server.stores.writer, tomorrow)
        keys = await KeyStore.open(server.stores.credentials)
        issuer = Issuer(keys, settings.public_issuer, settings.audience, lifetime=3600)
        tokens = {}
        for org_id in org_ids:
            client = Client(f"c_{org_id[2:]}", org_id, "Bench", SCOPES, "", 0)
            tokens[org_id] = issuer.issue(client, SCOPES)
        app.tune_garbage_collector()
        _announce(
            port=server.grpc_port, auth_port=server.auth_port, tokens=tokens, tomorrow=tomorrow
        )
        await app.stop_signal().wait()


def _announce(**facts: object) -> None:
    print(json.dumps({"pid": os.getpid(), **facts}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "noop":
        uvloop.run(noop())
    else:
        url = sys.argv[3] if len(sys.argv) > 3 else ""
        uvloop.run(zimun(Path(sys.argv[2]), url, sys.argv[1] == "many"))
