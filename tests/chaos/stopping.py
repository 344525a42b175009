"""A server that stops itself once by SIGSTOP: `python -m tests.chaos.stopping CLOCK SKEW`.

It does so in the middle of the first group with a change of the catalogue, whose
heads are moved and whose rows are written, and which is not committed.
"""

import itertools
import os
import signal
from typing import Any

from zimun.storage import ledgers

from .serving import main

times = itertools.count()
put_catalog = ledgers.put_catalog


def put_and_stop(*arguments: Any) -> None:
    """Write as always; the first time, stop before anything is committed."""
    put_catalog(*arguments)
    if next(times) == 0:
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    ledgers.put_catalog = put_and_stop  # type: ignore[assignment]
    main()
