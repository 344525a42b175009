"""`python -m bench.burst`: five hundred callers at one slot, at the same moment.

The client shares the machine, so its requests are written before the burst and
the answers are read after it. The same burst of requests that are refused as
soon as they are read, and of no-op RPCs, says how much of the time is not the
booking's.
"""

import argparse
import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, TrailersReceived

from bench import catalogue, site
from zimun.domain.instant import DAY, MINUTE
from zimun.v1 import appointments_service_pb2

CALLERS = 500
CONNECTIONS = 50

HOLD = "/zimun.v1.AppointmentsService/HoldAppointment"
NOOP = "/bench.Noop/Call"

CODES = {code.value[0]: code.name for code in grpc.StatusCode}

QUIET = 1.0
"""Seconds without any answer after which a burst is over."""


class Connection:
    """An HTTP/2 connection with calls of its own, all sent at once."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = H2Connection(H2Configuration(client_side=True))
        self._http.initiate_connection()
        self._received: list[tuple[float, bytes]] = []
        self.socket.sendall(self._http.data_to_send())
        self._http.receive_data(self.socket.recv(1 << 16))
        self.socket.sendall(self._http.data_to_send())

    def calls(
        self, path: str, request: bytes, metadata: Iterable[tuple[str, str]], count: int
    ) -> bytes:
        """What is to be sent for so many calls of a method."""
        headers = [
            *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "bench")),
            *(("te", "trailers"), ("content-type", "application/grpc"), *metadata),
        ]
        message = b"\0" + len(request).to_bytes(4, "big") + request
        for _ in range(count):
            stream = self._http.get_next_available_stream_id()
            self._http.send_headers(stream, headers)
            self._http.send_data(stream, message, end_stream=True)
        return self._http.data_to_send()

    def receive(self) -> None:
        data = self.socket.recv(1 << 16)
        assert data, "the server closed a connection"
        self._received.append((time.perf_counter(), data))

    def answers(self) -> Iterator[tuple[float, str]]:
        """When each call was answered, on the clock of `time.perf_counter`, and with which code."""
        for at, data in self._received:
            for event in self._http.receive_data(data):
                # An error without any message comes in the headers alone.
                if isinstance(event, ResponseReceived | TrailersReceived):
                    for name, value in event.headers:
                        if name == b"grpc-status":
                            yield at, CODES[int(value)]


def burst(
    ports: Sequence[int], path: str, request: bytes, metadata: Iterable[tuple[str, str]]
) -> tuple[float, Counter[str]]:
    """Send the request CALLERS times at once, to all servers alike.

    Answers the p99 of the calls in seconds, each of which begins with the burst, and how they
    ended.
    """
    connections = [Connection(port) for port in islice(cycle(ports), CONNECTIONS)]
    each = CALLERS // CONNECTIONS
    calls = [connection.calls(path, request, metadata, each) for connection in connections]
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for connection in connections:
            stack.enter_context(connection.socket)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        began = time.perf_counter()
        for connection, sent in zip(connections, calls, strict=True):
            connection.socket.sendall(sent)
        while ready := selector.select(QUIET):
            for key, _ in ready:
                key.data.receive()
    answers = [answer for connection in connections for answer in connection.answers()]
    p99 = statistics.quantiles((at - began for at, _ in answers), n=100)[98]
    return p99, Counter(code for _, code in answers)


def hold_at(start: int) -> bytes:
    request = appointments_service_pb2.HoldAppointmentRequest(service_id=catalogue.SERVICE_ID)
    request.appointment_time.FromMicroseconds(start)
    return request.SerializeToString()


def bursts(rounds: int, ports: Sequence[int], noop: int, where: site.Site) -> None:
    """Bursts of each kind in turn, those of holds each at a slot of its own."""
    staff = len(catalogue.STAFF)
    latencies: dict[str, list[float]] = {"holds": [], "refused": [], "no-ops": []}
    for number in range(rounds + 1):
        hold_request = hold_at(where.tomorrow + DAY + number * 60 * MINUTE)
        for name, servers, path, request, expected in (
            ("holds", ports, HOLD, hold_request, {"OK": staff, "ABORTED": CALLERS - staff}),
            ("refused", ports, HOLD, b"", {"INVALID_ARGUMENT": CALLERS}),
            ("no-ops", [noop], NOOP, hold_request, {"OK": CALLERS}),
        ):
            p99, outcomes = burst(servers, path, request, where.bearer)
            assert outcomes == expected, outcomes
            if number:  # The first round finds everything cold.
                latencies[name].append(1000 * p99)
    for name, p99s in latencies.items():
        median, least, most = statistics.median(p99s), min(p99s), max(p99s)
        print(f"{name:<9}p99 ms: median {median:.0f}, from {least:.0f} to {most:.0f}")
    rounds_of_both = zip(latencies["holds"], latencies["refused"], strict=True)
    ratio = statistics.median(hold / refused for hold, refused in rounds_of_both)
    print(f"holds to refused of the same round: {ratio:.2f}")


def main(rounds: int, workers: int, engine: str) -> None:
    with site.started("noop") as noop:
        if engine == "sqlite":
            with site.on_sqlite() as where, site.run_server(where, workers) as ports:
                bursts(rounds, ports, noop["port"], where)
            return
        with site.on_postgres() as (server, where), site.run_server(where, workers) as ports:
            bursts(rounds, ports, noop["port"], where)
            print(f"deadlocks logged: {server.log.read_text().count('deadlock detected')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.burst", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=("postgres", "sqlite"), default="postgres")
    main(**vars(parser.parse_args()))
