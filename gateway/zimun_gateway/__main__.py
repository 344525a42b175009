"""`python -m zimun_gateway`: the default configuration, printed, written or checked.

With the configuration it writes and checks the files of `site/` that describe the API."""

import argparse
import subprocess
import sys
from pathlib import Path

from . import site
from .bootstrap import dump
from .envoy_process import envoy_binary
from .settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when a checked file is stale or Envoy refuses it."""
    parser = argparse.ArgumentParser(prog="zimun_gateway", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--print", action="store_true", help="to standard output")
    action.add_argument("--write", type=Path, metavar="FILE", help="to FILE")
    action.add_argument("--check", type=Path, metavar="FILE", help="FILE is current, and valid")
    options = parser.parse_args(arguments)
    if options.check:
        return _check(options.check)
    if options.write:
        options.write.write_text(dump(Settings()))
        site.write(Settings().descriptors)
    else:
        sys.stdout.write(dump(Settings()))
    return 0


def _check(file: Path) -> int:
    if not file.is_file() or file.read_text() != dump(Settings()):
        return _stale(file, file)
    for name in site.stale(Settings().descriptors):
        return _stale(name, file)
    return validate(file)


def _stale(name: object, file: Path) -> int:
    print(f"{name} is stale: python -m zimun_gateway --write {file}", file=sys.stderr)
    return 1


def validate(file: Path) -> int:
    """Validate a configuration with Envoy: 0, or 1 with the reason on standard error."""
    command = [str(envoy_binary()), "--mode", "validate", "--log-level", "error", "-c", str(file)]
    result = subprocess.run(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return min(result.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
