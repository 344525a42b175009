"""Sets the line numbers of links such as [`Class.method`](path.py#L12) in docs/*.md.

Run it from the root of the repository, as `make format` does. It fails where a name is not defined
in its file.
"""

import re
import sys
from pathlib import Path

_LINK = re.compile(r"\[`([\w.]+)`\]\(([^)#]+\.py)#L\d+\)")


def line_of(file: Path, name: str) -> int:
    """The line on which a file defines a function, class, constant or `Class.method`."""
    lines = file.read_text().splitlines()
    start = 0
    for part in name.split("."):
        defined = re.compile(rf"\s*(?:async )?(?:def|class) {part}\b|{part}\b[^=]*= ")
        start = next(n for n, line in enumerate(lines[start:], start) if defined.match(line))
    return start + 1


def updated(page: Path) -> str:
    """The text of a page with every line number as it is now."""

    def link(match: re.Match[str]) -> str:
        name, path = match.groups()
        return f"[`{name}`]({path}#L{line_of(page.parent / path, name)})"

    return _LINK.sub(link, page.read_text())


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(updated(page))
