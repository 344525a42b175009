"""Schemathesis: requests by the OpenAPI document through Envoy, links included."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.processes import BIN, environment
from ..support.program import NOW, Zimun, closed_after
from .attacks import FACTOR, SEED, AttackCounter
from .target import memory

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
CHECKS = "tests.security.openapi_checks"
REPOSITORY = Path(__file__).parents[2]

EXAMPLES = 4
"""Cases of each operation in a long run, times FACTOR; coverage has a fixed number beside them."""

MAX_SECONDS = 60
"""Time of the run in CI."""

REQUEST_SECONDS = 60
"""How long a response is waited for on a busy machine: Envoy sends one after 15 seconds at most."""

MAX_GROWTH = 80 << 20
"""Bytes by which the server or Envoy may grow while it is attacked: caches that fill, once."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Zimun]:
    """A demo without rate limits, whose tokens last for the whole run."""
    limits = {"ZIMUN_RATE_LIMIT": "0", "ZIMUN_TOKEN_LIFETIME": "86400"}
    with closed_after(Zimun(tmp_path / "data", NOW, **limits)) as zimun:
        yield zimun.start()
        zimun.stop()


def test_answers_to_schemathesis_are_what_the_document_allows(
    program: Zimun, attacks: AttackCounter, tmp_path: Path
) -> None:
    pids = {"server": program.process.pid, "envoy": program.envoy()}
    before = {name: memory(pid) for name, pid in pids.items()}
    bounds = ["-n", str(EXAMPLES * FACTOR)] if FACTOR > 1 else ["--max-time", str(MAX_SECONDS)]
    done = subprocess.run(
        [
            *(str(BIN / "schemathesis"), "--no-color", "--config-file", str(CONFIGURATION)),
            *("run", f"{program.url}/openapi.json", "--seed", str(SEED), *bounds),
            *("-H", f"Authorization: Bearer {program.token()}", "--exclude-path", "/oauth/token"),
            *("--request-timeout", str(REQUEST_SECONDS)),
            *("--continue-on-failure", "--generation-database", "none", "--warnings", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment(SCHEMATHESIS_HOOKS=CHECKS, PYTHONPATH=str(REPOSITORY)),
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-2000:]
    attacks.count("OpenAPI", "as the document says", int(passed[2]))
    least = 100 * FACTOR
    assert int(passed[2]) == int(passed[1]) > least
    growth = {name: memory(pid) - before[name] for name, pid in pids.items()}
    assert max(growth.values()) < MAX_GROWTH, growth
