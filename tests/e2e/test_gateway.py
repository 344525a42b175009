"""What Envoy does on its own: limits, gRPC-Web, and what it does not let browsers do."""

import struct
from collections.abc import Callable, Iterator

import grpc
import pytest
import requests
from google.rpc import error_details_pb2

from zimun.v1 import services_service_pb2

from ..support.answers import Json, detail, grpc_status, reason, refused
from ..support.processes import until
from ..support.program import Zimun, closed_after

SERVICES = "/api/v1/services"


@pytest.fixture(scope="module")
def limited(
    new_database: Callable[[], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Zimun]:
    """An instance that lets each client make five requests a second."""
    limits = {"ZIMUN_RATE_LIMIT": "5"}
    data_dir = tmp_path_factory.mktemp("limited") / "data"
    with closed_after(Zimun(data_dir, **new_database(), **limits)) as zimun:
        yield zimun.start()
        zimun.stop()


@pytest.fixture
def slow(limited: Zimun) -> Zimun:
    """The same, called by a client of the test's own."""
    return limited.as_client(limited.new_client())


def exhaust(zimun: Zimun, token: str) -> tuple[int, requests.Response]:
    """Asks until refused; returns how many were answered, and the refusal."""
    for count in range(200):
        answer = zimun.get(SERVICES, token=token)
        if answer.status_code != 200:
            return count, answer
    raise AssertionError("200 requests in a row and no limit")


@pytest.mark.about_the_gateway
def test_too_many_requests_are_refused_with_the_time_to_wait(slow: Zimun) -> None:
    count, answer = exhaust(slow, slow.token())
    assert refused(answer, 429, "RESOURCE_EXHAUSTED", "RATE_LIMITED") == {}
    # A burst of twice the rate, and what came back meanwhile.
    assert 10 <= count <= 25
    assert int(answer.headers["retry-after"]) >= 1
    assert detail(answer.json(), "RetryInfo")["retry_delay"].endswith("s")
    assert int(answer.headers["x-ratelimit-limit"]) > 0
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert int(answer.headers["x-ratelimit-reset"]) >= 0
    until(
        "the limit to recover",
        lambda: slow.get(SERVICES).status_code == 200,
        2 * int(answer.headers["retry-after"]) + 1,
    )


@pytest.mark.about_the_gateway
def test_one_client_does_not_use_up_the_limit_of_another(slow: Zimun) -> None:
    exhaust(slow, slow.token())
    other = slow.token(credentials=slow.new_client())
    for _ in range(8):
        assert slow.get(SERVICES, token=other).status_code == 200


@pytest.mark.about_the_gateway
def test_another_token_is_no_way_around_the_limit(slow: Zimun) -> None:
    first, second = (slow.token(scope) for scope in ("org:read", "org:read org:write"))
    exhaust(slow, first)
    assert slow.get("/api/v1/locations", token=second).status_code == 429


@pytest.mark.about_the_gateway
def test_a_refusal_for_want_of_a_token_says_the_same_at_any_rate(slow: Zimun) -> None:
    # Whoever has no token must not learn, or use up, anybody's limit.
    for _ in range(40):
        refused(slow.get(SERVICES, token="x"), 401, "UNAUTHENTICATED", "TOKEN_INVALID")
    assert slow.get(SERVICES).status_code == 200


@pytest.mark.about_the_gateway
def test_the_limit_holds_for_grpc_through_envoy(slow: Zimun) -> None:
    with grpc.insecure_channel(f"localhost:{slow.port}") as channel:
        for _ in range(100):
            status = grpc_status(
                channel,
                "/zimun.v1.LocationsService/ListLocations",
                authorization=f"Bearer {slow.token()}",
            )
            if status.code:
                break
    assert reason(status) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    retry = error_details_pb2.RetryInfo()
    assert [one.Unpack(retry) for one in status.details].count(True) == 1
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0


@pytest.mark.about_the_gateway
def test_rate_limit_of_0_turns_the_limit_off(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program(ZIMUN_RATE_LIMIT="0").start()
    for _ in range(300):
        answer = zimun.get("/api/v1/locations")
        assert answer.status_code == 200
    assert "x-ratelimit-limit" not in answer.headers
    zimun.stop()


@pytest.mark.about_the_gateway
def test_every_good_answer_says_how_much_is_left(zimun: Zimun) -> None:
    answer = zimun.get(SERVICES)
    limit = int(answer.headers["x-ratelimit-limit"])
    assert limit in {1000, 2000}
    assert 0 <= int(answer.headers["x-ratelimit-remaining"]) <= limit
    assert int(answer.headers["x-ratelimit-reset"]) >= 0


@pytest.mark.about_the_gateway
def test_guesses_of_a_secret_are_limited_and_the_client_is_served_afterwards(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    form = {"grant_type": "client_credentials"}
    url = f"{zimun.url}/oauth/token"
    answers: list[requests.Response] = []
    while not answers or answers[-1].status_code == 401:
        assert len(answers) < 200, "200 guesses of a secret in a row and no limit"
        answers.append(zimun.session.post(url, data=form, auth=("c_demo", "wrong"), timeout=20))
    answer = answers.pop()
    assert answer.status_code == 429
    assert len(answers) >= 10
    assert int(answer.headers["retry-after"]) >= 1
    # "The token endpoint alone answers as RFC 6749 section 5.2 says."
    assert "error" in answer.json()
    until("the limit to recover", lambda: zimun.token(), 5)
    zimun.stop()


@pytest.mark.about_the_gateway
@pytest.mark.parametrize("path", [SERVICES, "/oauth/token", "/.well-known/jwks.json"])
def test_browsers_of_other_origins_are_let_in_nowhere(zimun: Zimun, path: str) -> None:
    origin = {"Origin": "https://example.com"}
    preflight = {**origin, "Access-Control-Request-Method": "GET"}
    for verb, headers in (("OPTIONS", preflight), ("GET", origin | zimun.headers())):
        answer = zimun.session.request(verb, zimun.url + path, headers=headers, timeout=20)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert zimun.session.options(zimun.url + path, headers=preflight, timeout=20).status_code >= 400


def frames(content: bytes) -> list[tuple[int, bytes]]:
    """The frames of a gRPC-Web answer as (flags, payload)."""
    found = []
    while content:
        flags, length = struct.unpack(">BI", content[:5])
        found.append((flags, content[5 : 5 + length]))
        content = content[5 + length :]
    return found


def grpc_web(zimun: Zimun, method: str, message: bytes, token: str) -> requests.Response:
    return zimun.session.post(
        f"{zimun.url}/zimun.v1.{method}",
        data=struct.pack(">BI", 0, len(message)) + message,
        headers={
            "Content-Type": "application/grpc-web+proto",
            "X-Grpc-Web": "1",
            "Authorization": f"Bearer {token}",
        },
        timeout=20,
    )


def test_grpc_web_works_through_envoy(zimun: Zimun) -> None:
    request = services_service_pb2.ListServicesRequest(page_size=1)
    answer = grpc_web(
        zimun, "ServicesService/ListServices", request.SerializeToString(), zimun.token()
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    (data, message), (trailer, text) = frames(answer.content)
    assert (data, trailer) == (0, 0x80)
    response = services_service_pb2.ListServicesResponse.FromString(message)
    assert [service.id for service in response.items] == ["s_123"]
    assert response.next_page_token
    assert b"grpc-status:0" in text.replace(b" ", b"")


def test_grpc_web_refuses_a_bad_token(zimun: Zimun) -> None:
    answer = grpc_web(zimun, "ServicesService/ListServices", b"", "nonsense")
    assert answer.headers.get("grpc-status") == "16" or any(
        b"grpc-status:16" in text.replace(b" ", b"") for _, text in frames(answer.content)
    )


def test_json_is_snake_case_with_every_field_and_bare_enum_words(zimun: Zimun, time: str) -> None:
    appointment: Json = zimun.book(time)
    assert set(appointment) == {
        "appointment_id", "hold_id", "service_id", "start_time", "end_time", "staff_id",
        "resource_ids", "location_id", "seats", "contact_name", "contact_email",
        "contact_phone", "notes", "state", "cancel_reason", "metadata", "etag", "create_time",
        "update_time",
    }  # fmt: skip
    assert appointment["state"] == "CONFIRMED"
    assert (appointment["notes"], appointment["resource_ids"]) == ("", [])


def test_every_answer_carries_a_request_id(zimun: Zimun) -> None:
    ids = {
        zimun.session.get(f"{zimun.url}{path}", headers=zimun.headers(), timeout=20).headers[
            "x-request-id"
        ]
        for path in (SERVICES, "/api/v1/nope", "/api/v1/services/s_9")
    }
    assert len(ids) == 3
