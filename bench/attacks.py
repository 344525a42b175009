"""`python -m bench.attacks`: honest callers, quiet and beside each attack of strangers.

The attacks are those of tests/security that need no more than the open ports and, for some, a token
of one organization: malformed gRPC headers on every route, unknown methods and health services,
health streams, idle connections, long requests that the access log has lines of. Each comes from a
process of its own, at the rate that is printed, from many addresses. Calls of the other
organizations go on meanwhile, as JSON through Envoy (on kept connections, and on a new one each),
by gRPC through Envoy, and by gRPC straight at the server; none may fail for the attack, and their
p99 should at most double.

The attacker takes processor time where all others run. So each attack is followed by as many
harmless attempts a second, on as many connections: what these cost, the machine owes.
"""

import argparse
import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, product
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import requests, site
from bench.attacker import ATTACKS, Ports, attacked
from bench.burst import HOLD
from bench.json_channel import JsonChannel, Refused
from bench.latency import at_random
from bench.overload import APPOINTMENTS, Calls, centile
from zimun.connections import max_gateway_connections

HONEST_RATE = 150.0
"""Honest calls a second: a fifth to a quarter of what two quiet processors serve."""

DEADLINE = 10.0
"""Seconds after which an honest call has failed."""

SETTLE = 2.0
"""Seconds of calls before those that are measured."""

CONFIRM, CANCEL = f"{APPOINTMENTS}/ConfirmAppointment", f"{APPOINTMENTS}/CancelAppointment"
GOES_ON = {HOLD: (CONFIRM, requests.confirm), CONFIRM: (CANCEL, requests.cancel)}


@dataclass
class Outcome:
    """The seconds of honest calls that were answered, and how the others failed."""

    delays: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def p99(self) -> float:
        return centile(self.delays, 99)


class Honest:
    """Calls of organizations that arrive at random, one way after the other.

    What is held is confirmed, and what is confirmed is cancelled.
    """

    def __init__(self, calls: Calls, org_ids: Sequence[str], ways: Sequence[Any]) -> None:
        self._calls, self._org_ids, self._ways = calls, cycle(org_ids), cycle(ways)
        self._next = deque[tuple[str, str, bytes]]()

    async def measure(self, rate: float, seconds: float) -> Outcome:
        """The calls of a while, counted from their arrival, after those of SETTLE."""
        await at_random(self._caller(Outcome()), rate, SETTLE)
        outcome = Outcome()
        await at_random(self._caller(outcome), rate, seconds)
        return outcome

    def _caller(self, outcome: Outcome) -> Any:
        async def call(arrival: float) -> None:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._send(next(self._ways))
            except grpc.aio.AioRpcError as error:
                outcome.errors[f"{error.code().name} {error.details()}"[:80]] += 1
            except (OSError, EOFError, Refused) as error:
                # Of an error as JSON its message.
                outcome.errors[repr(error).rpartition('"message":')[2][:80]] += 1
            else:
                outcome.delays.append(time.perf_counter() - arrival)

        return call

    async def _send(self, way: Any) -> None:
        """What goes on from an answer, or else another call of the next organization."""
        if self._next:
            path, org_id, request = self._next.popleft()
            metadata = self._calls.keyed(org_id)
        else:
            org_id = next(self._org_ids)
            path, request, metadata = self._calls.request(org_id)
        answer = await way.unary_unary(path)(request, metadata=metadata)
        if path in GOES_ON:
            following, make = GOES_ON[path]
            self._next.append((following, org_id, make(answer)))


async def measure(server: dict[str, Any], seconds: float, rate: float, directory: Path) -> None:
    """Print a line for each attack and its control, between those of the quiet before and after."""
    (_, token), *_ = server["tokens"].items()
    settings = {
        "access_log": str(directory / "access.log"),
        "max_connections": max_gateway_connections(),
    }
    async with site.edge(server, directory, **settings) as envoy:
        ports = Ports(envoy.settings.listen_port, server["port"], server["auth_port"])
        kept, new = JsonChannel(ports.envoy), JsonChannel(ports.envoy, keep=False)
        async with site.connected(ports[:2], 2) as channels:
            honest = Honest(Calls(server), list(server["tokens"])[1:], (kept, new, *channels))
            before = await honest.measure(rate, seconds)
            _print("quiet", "", before)
            for name, harmless in product(ATTACKS, (False, True)):
                with attacked(name, ports, token, harmless) as pipe:
                    beside = await honest.measure(rate, seconds)
                    pipe.send(None)
                    sent, outcomes = pipe.recv()
                after = await honest.measure(rate, seconds)
                ratios = (f"{beside.p99 / quiet.p99:>7.2f}" for quiet in (before, after))
                statuses = (f"{n} {status}" for status, n in outcomes.most_common())
                more = f"{''.join(ratios)}  {', '.join(statuses)}"
                _print("  harmless" if harmless else name, f"{sent:,.0f}", beside, more)
                _print("quiet", "", before := after)
        kept.close()


def _print(name: str, rate: str, outcome: Outcome, more: str = "") -> None:
    answered, failed = len(outcome.delays), outcome.errors.total()
    p50, p99 = 1000 * centile(outcome.delays, 50), 1000 * outcome.p99
    columns = f"{answered + failed:>8,}{failed:>8}{p50:>9.1f}{p99:>9.1f}"
    print(f"{name:20}{rate:>12}{columns}{more}", flush=True)
    for text, n in outcome.errors.most_common(3):
        print(f"  {n} honest calls failed: {text}", flush=True)


def main(seconds: float, rate: float, stores: Sequence[str]) -> None:
    """Measure each store."""
    for store in stores:
        columns = ("calls", "errors", "p50 ms", "p99 ms", "p99 of", "quiet")
        print(f"{store:20}{'attempts/s':>12}{'{:>8}{:>8}{:>9}{:>9}{:>7}{:>7}'.format(*columns)}")
        with site.on_store(store, "many") as (server, directory):
            uvloop.run(measure(server, seconds, rate, directory))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each line")
    parser.add_argument("--rate", type=float, default=HONEST_RATE, help="honest calls a second")
    parser.add_argument("--stores", nargs="+", choices=site.STORES, default=site.STORES)
    main(**vars(parser.parse_args()))
