"""`python -m tests.chaos --engine shared --seconds 600 --seed 7`: a long run, and what it saw."""

import os

# Processes are started by fork and exec while calls are under way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import argparse
import asyncio
import sys
from pathlib import Path

from .run import Options, run
from .servers import SERVING


def main() -> None:
    """Run, print, and end with status 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--engine", choices=("shared", "embedded"), default="shared")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--callers", type=int, default=24)
    parser.add_argument("--max-rows", type=int, default=0, help="the servers' ZIMUN_MAX_ROWS")
    parser.add_argument("--more-reads", type=float, default=0, help="the share of more reads")
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--kind", action="append", default=[], help="a kind of fault; no others")
    parser.add_argument(
        "--serve-with", default=" ".join(SERVING), help="the module that is a server"
    )
    parser.add_argument("--weaken", action="append", default=[], help="SQL run beforehand")
    parser.add_argument("--recovery", type=float, default=30, help="seconds to recover in")
    parser.add_argument(
        "--min-attempts", type=int, default=0, help="go on until there were so many"
    )
    parser.add_argument(
        "--skew", type=float, default=0, help="seconds from one server's clock to the next one's"
    )
    parser.add_argument(
        "--move-rate", type=float, default=1, help="how many times as often the clock is moved"
    )
    parser.add_argument("--keep", type=Path, help="a new directory for history and logs")
    parser.add_argument("--report", type=Path, help="a file for the counts, as JSON")
    given = parser.parse_args()
    options = Options(
        given.engine,
        given.seed,
        given.seconds,
        given.servers,
        given.callers,
        faults=not given.no_faults,
        module=given.serve_with.split(),
        weaken=given.weaken,
        recovery=given.recovery,
        kinds=given.kind,
        more_reads=given.more_reads,
        max_rows=given.max_rows,
        min_attempts=given.min_attempts,
        move_rate=given.move_rate,
        skew=given.skew,
    )
    report = asyncio.run(run(options, given.keep))
    print(report)
    if given.report:
        given.report.write_text(report.as_json())
    sys.exit(1 if report.violations else 0)


main()
