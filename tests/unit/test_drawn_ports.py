"""Ports of the tests: two processes, of this run or of another, never draw the same."""

import subprocess
import sys

from ..support.processes import free_port

DRAW = """
import sys
from tests.support.processes import free_port
print(*(free_port() for _ in range(1000)), flush=True)
sys.stdin.read()
"""


def test_no_port_is_drawn_that_another_process_has_drawn() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRAW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        drawn = set(map(int, other.stdout.readline().split()))
        assert len(drawn) == 1000
        assert drawn.isdisjoint(free_port() for _ in range(100))
        other.communicate()
