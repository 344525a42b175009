"""A server by the run's clock: `python -m tests.chaos.serving CLOCK SKEW`, all else from ZIMUN_*.

Its clock is SKEW microseconds ahead of the run's.
"""

import logging
import os
import sys
from pathlib import Path

import uvloop

from zimun import app
from zimun.clock import Clock
from zimun.command_errors import EXPECTED
from zimun.config import Settings, load

from .clock import SharedClock


def main() -> None:
    """Serve until a signal, as `zimun serve` does."""
    settings = load(os.environ)
    logging.basicConfig(level=settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        uvloop.run(_serve(settings, SharedClock(Path(sys.argv[1]), int(sys.argv[2]))))
    except EXPECTED as error:
        sys.exit(f"zimun: {error}")


async def _serve(settings: Settings, clock: Clock) -> None:
    stop = app.stop_signal()
    async with app.serve(settings, clock):
        app.tune_garbage_collector()
        await stop.wait()


if __name__ == "__main__":
    main()
