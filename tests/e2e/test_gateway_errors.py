"""What Envoy refuses by itself has the shape of all errors."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from ..support.answers import detail, refusal
from ..support.processes import run
from ..support.program import CONFIRM_PATH, HOLD_PATH, Zimun
from .valid_requests import VALID_HOLD


def send(zimun: Zimun, path: str, body: bytes) -> requests.Response:
    """Posts a body as it is."""
    headers = {**zimun.headers(), "Content-Type": "application/json"}
    return zimun.session.post(zimun.url + path, data=body, headers=headers, timeout=20)


def shape(answer: requests.Response, http: int, code: str) -> None:
    """Asserts the one error shape with any reason of ours."""
    assert answer.status_code == http, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    refusal(answer.json(), code, detail(answer.json(), "ErrorInfo")["reason"])


@pytest.mark.parametrize(
    "path",
    ["/none", "/api/v1", "/api/v1/nope", "/api/v2/services", "/api/v1/services/s_123/staff"],
)
def test_an_unknown_path_answers_in_the_one_shape(zimun: Zimun, path: str) -> None:
    shape(zimun.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("DELETE", "/api/v1/services/s_123"),
        ("PUT", "/api/v1/services"),
        ("PUT", HOLD_PATH),
        ("DELETE", "/api/v1/appointments/a_123"),
    ],
)
def test_an_unknown_method_answers_in_the_one_shape(zimun: Zimun, verb: str, path: str) -> None:
    answer = zimun.session.request(verb, zimun.url + path, headers=zimun.headers(), timeout=20)
    shape(answer, 405, "UNIMPLEMENTED")
    assert verb not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/services?colour=red",
        "/api/v1/services/s_123?colour=red",
        "/api/v1/availability?service_id=s_123&date=2026-02-20&colour=red",
        "/api/v1/appointments?colour=red",
    ],
)
def test_an_unknown_query_parameter_is_an_error_that_names_it(zimun: Zimun, path: str) -> None:
    answer = zimun.get(path)
    shape(answer, 400, "INVALID_ARGUMENT")
    assert "colour" in answer.text


def test_an_unknown_json_field_is_an_error_that_names_it(zimun: Zimun) -> None:
    answer = zimun.post(HOLD_PATH, {**VALID_HOLD, "colour": "red"})
    shape(answer, 400, "INVALID_ARGUMENT")
    assert "colour" in answer.text


@pytest.mark.parametrize(
    "body",
    [b'{"service_id":"s_123"', b"{]", b'"text"', b"[]", b"nonsense", b'{"service_id":"\xff"}'],
)
def test_malformed_json_is_an_error(zimun: Zimun, body: bytes) -> None:
    shape(send(zimun, HOLD_PATH, body), 400, "INVALID_ARGUMENT")


def test_deeply_nested_json_is_an_error(zimun: Zimun) -> None:
    shape(send(zimun, HOLD_PATH, b'{"service_id":' + b"[" * 10_000), 400, "INVALID_ARGUMENT")


def test_a_body_too_large_is_refused_in_the_one_shape(zimun: Zimun, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"notes": "x" * 20_000_000}))
    done = run(
        "curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {zimun.token()}",
        "-H", "Content-Type: application/json", "--data-binary", f"@{body}",
        zimun.url + CONFIRM_PATH,
    )  # fmt: skip
    answer, status = done.stdout.rsplit("\n", 1)
    assert status == "413", done.stdout + done.stderr
    refusal(json.loads(answer), "INVALID_ARGUMENT", "REQUEST_REFUSED")


def test_headers_too_large_are_refused_in_the_one_shape(zimun: Zimun) -> None:
    headers = {**zimun.headers(), **{f"x-filler-{number}": "x" * 7000 for number in range(15)}}
    answer = zimun.session.get(f"{zimun.url}/api/v1/services", headers=headers, timeout=20)
    assert answer.status_code == 431
    assert set(answer.json()) == {"code", "message", "details"}


def test_an_odd_idempotency_key_is_no_internal_error(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    for key in ("x" * 5000, "ключ".encode().decode("latin-1"), ""):
        answer = zimun.post(HOLD_PATH, {"service_id": "s_123", "appointment_time": times()}, key)
        assert answer.status_code == 400, answer.text
