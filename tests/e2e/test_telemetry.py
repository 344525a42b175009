"""Telemetry of the whole program: metrics of server and Envoy, logs, traces."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from ..support.processes import BIN, free_port, free_ports, run, until
from ..support.program import Zimun, closed_after
from ..support.server import Server, Site

pytestmark = pytest.mark.about_the_program


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent: (name of the service, span)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(self, request: Any, context: object) -> Any:
        for resource in request.resource_spans:
            [service] = [
                one.value.string_value
                for one in resource.resource.attributes
                if one.key == "service.name"
            ]
            self.spans += [
                (service, span) for scope in resource.scope_spans for span in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, service: str) -> list[Span]:
        return [span for name, span in self.spans if name == service]

    def stop(self) -> None:
        self._server.stop(0)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Zimun]:
    """Everything that tells is on, every call is slow, and every request is traced."""
    told = {
        "ZIMUN_METRICS_PORT": str(free_port()),
        "ZIMUN_GATEWAY_METRICS_PORT": str(free_port()),
        "ZIMUN_ADMIN_PORT": str(free_port()),
        "ZIMUN_SLOW_REQUEST": "0.000001",
        "ZIMUN_OTLP_ENDPOINT": f"127.0.0.1:{collector.port}",
        "ZIMUN_TRACE_RATIO": "1",
    }
    data_dir: Path = tmp_path_factory.mktemp("observed") / "data"
    with closed_after(Zimun(data_dir, **told)) as zimun:
        yield zimun.start()
        zimun.stop()


def scraped(zimun: Zimun, variable: str) -> dict[str, Any]:
    """The families of metrics at a port, by name."""
    text = requests.get(f"http://127.0.0.1:{zimun.env[variable]}/metrics", timeout=10).text
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_server_exports_its_calls_to_prometheus(observed: Zimun) -> None:
    assert observed.get_json("/api/v1/services")["items"]
    samples = scraped(observed, "ZIMUN_METRICS_PORT")["zimun_requests"].samples
    counted = {(one.labels["method"], one.labels["code"]): one.value for one in samples}
    assert counted["zimun.v1.ServicesService/ListServices", "OK"] >= 1


def test_envoy_exports_its_requests_to_prometheus(observed: Zimun) -> None:
    assert observed.get_json("/api/v1/services")["items"]
    answered = {
        sample.labels["envoy_response_code_class"]: sample.value
        for sample in scraped(observed, "ZIMUN_GATEWAY_METRICS_PORT")[
            "envoy_http_downstream_rq_xx"
        ].samples
        if sample.labels["envoy_http_conn_manager_prefix"] == "zimun"
    }
    assert answered["2"] >= 1


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/config_dump"),
        ("GET", "/metrics/"),
        ("GET", "/metrics/../config_dump"),
        ("GET", "/stats/prometheus"),
        ("POST", "/quitquitquit"),
        ("POST", "/metrics"),
    ],
)
def test_nothing_else_of_the_admin_interface_is_exposed(
    observed: Zimun, verb: str, path: str
) -> None:
    base = f"http://127.0.0.1:{observed.env['ZIMUN_GATEWAY_METRICS_PORT']}"
    request = requests.Request(verb, base).prepare()
    request.url = base + path
    answer = requests.Session().send(request, timeout=10)
    assert (answer.status_code, answer.text) == (404, "")


def test_line_of_a_slow_call_has_the_request_id_that_the_caller_was_told(observed: Zimun) -> None:
    answer = observed.get("/api/v1/locations")
    request_id = answer.headers["x-request-id"]

    def told() -> list[str]:
        return [line for line in observed.log("err").read_text().splitlines() if request_id in line]

    [line] = until("the line", told)
    assert re.search(
        rf" WARNING zimun\.telemetry\.calls request_id={request_id}: slow call: "
        r"method=zimun\.v1\.LocationsService/ListLocations organization=o_demo code=OK seconds=0\.",
        line,
    )
    operations = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    [shown] = re.findall(r"^```text\n(.*)\n```$", operations, re.MULTILINE)
    assert re.fullmatch(re.escape(re.sub(r"\d+\.\d+$", "…", shown)).replace("…", ".*"), line)


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def test_span_of_the_server_joins_that_of_envoy(observed: Zimun, collector: Collector) -> None:
    # What a caller says of traces is not believed.
    theirs = "0af7651916cd43dd8448eb211c80319c"
    headers = observed.headers() | {"traceparent": f"00-{theirs}-b7ad6b7169203331-01"}
    assert observed.session.get(f"{observed.url}/api/v1/locations", headers=headers).ok

    def joined() -> tuple[Span, Span] | None:
        for span in named(collector.of("zimun"), "/zimun.v1.LocationsService/ListLocations"):
            for parent in collector.of("zimun-gateway"):
                if (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id):
                    return span, parent
        return None

    span, parent = until("both spans", joined, 20)
    assert span.kind == Span.SPAN_KIND_SERVER
    assert parent.kind == Span.SPAN_KIND_SERVER
    assert not parent.parent_span_id
    assert theirs not in {span.trace_id.hex() for _, span in collector.spans}


def test_each_worker_has_metrics_at_a_port_of_its_own(site: Site) -> None:
    first = free_ports(2)
    variables = {"ZIMUN_METRICS_PORT": str(first)}
    with closing(Server(replace(site, database=variables), workers=2)) as server:
        server.start()
        with server.caller(server.grpc_ports[1]) as caller:
            assert caller.services()
        calls = [
            requests.get(f"http://127.0.0.1:{first + number}/metrics", timeout=10).text.count(
                'zimun_requests_total{code="OK",method="zimun.v1.ServicesService/ListServices"}'
            )
            for number in range(2)
        ]
        assert calls == [0, 1]
        server.stop()


def test_doctor_finds_no_failure_in_a_running_program(observed: Zimun) -> None:
    ports = {"ZIMUN_PORT": str(observed.port), "ZIMUN_GRPC_PORT": str(observed.grpc_port)}
    command = (str(BIN / "zimun"), "doctor", "--running", "--data-dir", str(observed.data_dir))
    done = run(*command, **observed.env | ports)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"envoy: 127.0.0.1:{observed.port} answers, and asks for a token" in done.stdout
    assert "failure" not in done.stdout
    done = run(*command, **observed.env | ports | {"ZIMUN_PORT": str(free_port())})
    assert done.returncode == 1
    assert "failure  envoy: nothing listens" in done.stdout
