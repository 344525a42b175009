"""What a server does while no request comes: `python -m bench.idle`.

A thousand organizations and nothing to expire: statements a second, as PostgreSQL
logs them, and milliseconds of processor time a second of the whole server process.
"""

import argparse
import asyncio
import re
import tempfile
import time
from pathlib import Path

import uvloop

from tests.support.postgres import run_postgres
from zimun import app
from zimun.booking.catalog import CreateOrganization
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization

_STATEMENT = re.compile(r"LOG: +(statement|execute [^:]*): (?!DISCARD)", re.M)


async def idle(settings: Settings, organizations: int, seconds: float, log: Path | None) -> str:
    """Serve for a while; the figures as text."""
    clock = WallClock()
    async with app.serve(settings, clock) as server:
        writer, now = server.stores.writer, clock.now()
        for number in range(organizations):
            made = Organization(
                id=f"o_{number}", name="Idle", time_zone="UTC", create_time=now, update_time=now
            )
            await writer.run(made.id, CreateOrganization(made), creates=True)
        await asyncio.sleep(2)
        begin = len(log.read_text()) if log else 0
        used = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - used
        text = f"{used * 1000 / seconds:.2f} ms of processor time a second"
        if log:
            count = len(_STATEMENT.findall(log.read_text()[begin:]))
            text = f"{count / seconds:.1f} statements a second, {text}"
        return text


def main(organizations: int, seconds: float) -> None:
    """Measure both stores, one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory), grpc_port=0, auth_port=0)
        print("SQLite    ", uvloop.run(idle(settings, organizations, seconds, None)))
    with run_postgres("log_statement=all") as server, tempfile.TemporaryDirectory() as directory:
        url = server.url(server.create())
        settings = Settings(data_dir=Path(directory), database_url=url, grpc_port=0, auth_port=0)
        print("PostgreSQL", uvloop.run(idle(settings, organizations, seconds, server.log)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.idle", description=__doc__)
    parser.add_argument("--organizations", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    main(**vars(parser.parse_args()))
