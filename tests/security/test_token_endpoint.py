"""The token endpoint: failures of others keep no client from a token; no secret is logged."""

import base64
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from ..support.processes import until
from ..support.program import Zimun, closed_after

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zimun]:
    data_dir = tmp_path_factory.mktemp("tokens") / "data"
    settings = {"ZIMUN_LOG_LEVEL": "DEBUG", "ZIMUN_TRUSTED_PROXIES": "1"}
    with closed_after(Zimun(data_dir, **settings)) as program:
        yield program.start()
        assert "Traceback" not in program.output()
        program.stop()


def ask(program: Zimun, client: tuple[str, str], **headers: str) -> requests.Response:
    """One request, on a connection of its own."""
    return requests.post(
        f"{program.url}/oauth/token", data=GRANT, auth=client, headers=headers, timeout=20
    )


def flood(
    program: Zimun, stop: threading.Event, client: Callable[[], tuple[str, str]]
) -> Counter[int]:
    """Send bad credentials one after the other, until `stop`."""
    answers: Counter[int] = Counter()
    while not stop.is_set():
        answers[ask(program, client()).status_code] += 1
    return answers


@pytest.mark.parametrize("named", ["other clients", "the good client"])
def test_a_client_is_served_while_others_fail_from_its_address(named: str, program: Zimun) -> None:
    def bad() -> tuple[str, str]:
        guess = f"zs_{secrets.token_urlsafe(32)}"
        return (program.credentials[0] if "good" in named else f"c_{secrets.token_hex(4)}"), guess

    # What failed in an earlier test counts for the address, until its limit has room again.
    until("401", lambda: ask(program, bad()).status_code == 401)
    stop, found = threading.Event(), []
    strangers = [
        threading.Thread(target=lambda: found.append(flood(program, stop, bad))) for _ in range(6)
    ]
    for stranger in strangers:
        stranger.start()
    try:
        for _ in range(20):
            assert ask(program, program.credentials).status_code == 200
            time.sleep(0.05)
    finally:
        stop.set()
        for stranger in strangers:
            stranger.join()
    answers = sum(found, Counter[int]())
    assert {429} <= set(answers) <= {401, 429}
    [late] = until("429", lambda: [one for one in [ask(program, bad())] if one.status_code == 429])
    assert late.json()["error"] == "temporarily_unavailable"
    assert int(late.headers["Retry-After"]) >= 1


def test_failures_of_one_address_do_not_count_for_others(program: Zimun) -> None:
    def fail(address: str) -> int:
        client = (f"c_{secrets.token_hex(4)}", "wrong")
        return ask(program, client, **{"X-Forwarded-For": address}).status_code

    with ThreadPoolExecutor(8) as threads:
        other_networks = threads.map(fail, (f"2001:db8:7:{number:x}::1" for number in range(40)))
        assert Counter(other_networks) == {401: 40}
        # What one subscriber has counts as one address.
        one_network = threads.map(fail, (f"2001:db8:9:9:{number:x}::1" for number in range(60)))
        assert set(one_network) == {401, 429}


def test_callers_do_not_choose_the_address_that_counts(program: Zimun) -> None:
    def refused_for_now() -> bool:
        forged = f"198.51.100.{secrets.randbelow(256)}"
        headers = {"X-Zimun-Address": forged, "X-Forwarded-For": f"{forged}, 203.0.113.9"}
        other = (f"c_{secrets.token_hex(4)}", "wrong")
        return ask(program, other, **headers).status_code == 429

    until("429 whatever the address", refused_for_now, 20)


@pytest.mark.parametrize("length", [8_190, 9_000, 20_000])
def test_a_long_header_is_refused_without_a_quotation_and_not_logged(
    length: int, program: Zimun
) -> None:
    marker = secrets.token_hex(8)
    header = f"Basic {base64.b64encode((marker * (length // 16)).encode()).decode()}"
    answer = requests.post(
        f"{program.url}/oauth/token", data=GRANT, headers={"Authorization": header}, timeout=20
    )
    assert answer.status_code in (400, 401, 431)
    assert set(answer.json()) == {"error", "error_description"}
    for text in (answer.text, program.output()):
        assert header[6:40] not in text
        assert marker not in text


def test_a_secret_that_is_sent_as_client_id_is_not_logged(program: Zimun) -> None:
    client_id, secret = program.credentials
    before = len(program.output())
    ask(program, (secret, secret))
    ask(program, (secret, client_id))
    form: dict[str, Any] = GRANT | {"client_id": secret, "client_secret": client_id}
    requests.post(f"{program.url}/oauth/token", data=form, timeout=20)
    ask(program, (client_id, secret[:-1]))

    def logged() -> bool:
        lines = program.output()[before:]
        return "refused an unknown client" in lines and f"client {client_id}: wrong" in lines

    until("lines", logged)
    for path in [program.log("err"), program.log("out"), *Path(program.data_dir).rglob("*.log")]:
        lines = path.read_text(errors="replace")[before if path == program.log("err") else 0 :]
        assert secret[:-1] not in lines.replace(program.log("out").read_text(), ""), path
    assert secret not in program.log("err").read_text()


def test_the_time_of_a_refusal_does_not_tell_whether_a_client_exists(program: Zimun) -> None:
    seconds: dict[str, list[float]] = {"known": [], "unknown": []}
    session = requests.Session()
    for number in range(60):
        kind = ("known", "unknown")[number % 2]
        client_id = program.credentials[0] if kind == "known" else f"c_{secrets.token_hex(2)}"
        began = time.perf_counter()
        session.post(f"{program.url}/oauth/token", data=GRANT, auth=(client_id, "x"), timeout=20)
        seconds[kind].append(time.perf_counter() - began)
    session.close()
    # Both wait for one and the same timer. A busy machine adds least to the shortest of many times.
    known, unknown = map(min, seconds.values())
    assert min(known, unknown) >= 0.05
    assert abs(known - unknown) < 0.01
