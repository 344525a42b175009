"""`python parent_death.py PARENT PROGRAM ARGUMENTS...`: runs PROGRAM, killed when PARENT dies.

Linux kills the process when the thread that started it ends, even by kill -9 (prctl(2),
PR_SET_PDEATHSIG; the setting outlives exec). A small program of its own rather than a preexec_fn,
which may deadlock where the parent has threads. Elsewhere than on Linux it only becomes PROGRAM.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, program: list[str]) -> None:
    """Become the program, to be killed when the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the parent has ended")
    os.execv(program[0], program)  # noqa: S606 - nothing is left for a shell to read


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
