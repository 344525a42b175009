"""Prometheus metrics, read from the counters of each module when they are scraped.

Modules count in plain numbers, so that a call pays for additions only. Names follow Prometheus's
naming practices: base units, `_total` for what only grows.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from zimun.booking.counters import Counters
from zimun.histogram import Histogram
from zimun.storage.hold_counts import HoldCounts
from zimun.telemetry.calls import MethodCalls


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a server's metrics, each a function that reads the present numbers.

    `connections` returns, for each pool, those in use and the limit; `serving` whether each
    service of the health check is SERVING, by its name ("" for the whole server). Calls that
    wait and calls that were refused are by kind of work.
    """

    methods: Callable[[], Iterable[MethodCalls]]
    active: Callable[[], int]
    counters: Counters
    waiting: Callable[[], int]
    rows: Callable[[], int]
    connections: Callable[[], Mapping[str, tuple[int, int]]]
    serving: Callable[[], Mapping[str, bool]]
    calls_waiting: Callable[[], Mapping[str, int]]
    calls_refused: Callable[[], Mapping[str, int]]
    token_requests: Mapping[int, int] = field(default_factory=dict)


class ServerCollector(Collector):
    """One server's metrics. `holds` is counted in the store beforehand, None until then."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.holds: HoldCounts | None = None

    def collect(self) -> Iterator[Metric]:
        """Every family, as of now."""
        yield from self._calls()
        yield from self._writes()
        yield from self._admission()
        yield from self._state()
        yield from self._holds()
        yield _build_info()

    def _calls(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "zimun_requests", "Unary calls answered, by method and code.", labels=("method", "code")
        )
        seconds = HistogramMetricFamily(
            "zimun_request_duration_seconds", "How long unary calls took.", labels=("method",)
        )
        for calls in self._sources.methods():
            for code, number in calls.codes.items():
                requests.add_metric((calls.method, code.name), number)
            if calls.codes:
                _add(seconds, (calls.method,), calls.seconds)
        yield requests
        yield seconds
        yield _gauge("zimun_requests_active", "Unary calls under way.", self._sources.active())
        tokens = CounterMetricFamily(
            "zimun_http_requests", "Requests of the token endpoint's port.", labels=("status",)
        )
        for status, number in self._sources.token_requests.items():
            tokens.add_metric((str(status),), number)
        yield tokens

    def _writes(self) -> Iterator[Metric]:
        counted = self._sources.counters
        sizes = HistogramMetricFamily(
            "zimun_group_size", "Commands that were decided and written together."
        )
        _add(sizes, (), counted.group_sizes)
        yield sizes
        events = CounterMetricFamily("zimun_events", "Events committed, by type.", labels=("type",))
        for kind, number in counted.events.items():
            events.add_metric((kind.value,), number)
        yield events
        yield _counter(
            "zimun_moved_groups",
            "Ledgers of groups that another server had moved on, so that they were decided again.",
            counted.moved,
        )
        yield _counter(
            "zimun_conflicts", "Groups that a constraint of the store refused.", counted.conflicts
        )
        yield _counter(
            "zimun_catch_up_reads",
            "Reads that brought what other servers had written.",
            counted.catch_ups,
        )

    def _admission(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "zimun_calls_waiting",
            "Calls that wait for their turn, and long reads under way.",
            labels=("kind",),
        )
        for kind, number in self._sources.calls_waiting().items():
            waiting.add_metric((kind,), number)
        yield waiting
        refused = CounterMetricFamily(
            "zimun_calls_refused", "Calls refused as there was too much to do.", labels=("kind",)
        )
        for kind, number in self._sources.calls_refused().items():
            refused.add_metric((kind,), number)
        yield refused

    def _state(self) -> Iterator[Metric]:
        yield _gauge(
            "zimun_commands_waiting", "Commands that wait for a group.", self._sources.waiting()
        )
        yield _gauge("zimun_memory_rows", "Rows of ledgers in memory.", self._sources.rows())
        used = GaugeMetricFamily(
            "zimun_connections_in_use", "Database connections in use.", labels=("pool",)
        )
        limit = GaugeMetricFamily(
            "zimun_connections_limit", "The most database connections.", labels=("pool",)
        )
        for pool, (number, maximum) in self._sources.connections().items():
            used.add_metric((pool,), number)
            limit.add_metric((pool,), maximum)
        yield used
        yield limit
        serving = GaugeMetricFamily(
            "zimun_serving", "1 for a service that is SERVING.", labels=("service",)
        )
        for service, good in self._sources.serving().items():
            serving.add_metric((service,), good)
        yield serving

    def _holds(self) -> Iterator[Metric]:
        if self.holds:
            yield _gauge("zimun_holds_live", "Holds of all organizations.", self.holds.live)
            yield _gauge(
                "zimun_holds_overdue",
                "Holds whose time is over and whose expiry is not recorded yet.",
                self.holds.overdue,
            )


def registry(collector: ServerCollector) -> CollectorRegistry:
    """The server's metrics, with those of its process (CPU, memory, descriptors) and collector."""
    everything = CollectorRegistry()
    everything.register(collector)
    ProcessCollector(registry=everything)
    GCCollector(registry=everything)
    return everything


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], values: Histogram) -> None:
    buckets = [
        ("+Inf" if bound == float("inf") else f"{bound:g}", number)
        for bound, number in values.cumulative()
    ]
    family.add_metric(labels, buckets, sum_value=values.sum)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _build_info() -> Metric:
    info = GaugeMetricFamily(
        "zimun_build_info", "1; the versions.", labels=("version", "python", "grpc")
    )
    info.add_metric((version("zimun"), platform.python_version(), version("grpcio")), 1)
    return info
