"""The PostgreSQL server of the tests ends with the process that started it."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ..support.processes import listens, until

REPOSITORY = Path(__file__).parents[2]

STARTS = """
from tests.support.postgres import Postgres
server = Postgres("fsync=off")
server.start()
print(server.port, server.directory, flush=True)
input()
"""


def test_server_ends_when_the_process_that_started_it_is_killed() -> None:
    command = [sys.executable, "-c", STARTS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdout
        port, directory = starter.stdout.readline().split()
        try:
            assert listens(int(port))
            starter.send_signal(signal.SIGKILL)
            until("the server to end", lambda: not listens(int(port)))
        finally:
            starter.kill()
            shutil.rmtree(directory)
