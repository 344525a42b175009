"""A text in YAML: the line of everything in it, and what is wrong with it.

Paths are those of the contract's checks: `services[2].weekly_hours[0].end_time`;
the empty one is the whole text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

STR, INT, BOOL, MAP, SEQ = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "bool", "map", "seq")
)
"""What YAML calls its kinds of nodes."""

MAX_BYTES = 128 << 20
"""Four times the bytes that a catalogue may have; a device such as /dev/zero has no end."""


class Fault(NamedTuple):
    """Something wrong in a text: its line (the first is 1), the path there, and what it is."""

    line: int
    path: str
    message: str


@dataclass(frozen=True)
class Document:
    """What is known of a text that was read: the line of every path, and its faults.

    `faulty_paths` are those of the faults; `inside` has, of each path around them, the paths with
    faults one step further in.
    """

    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    faulty_paths: set[str] = field(default_factory=set)
    inside: dict[str, set[str]] = field(default_factory=dict)

    def copy(self) -> "Document":
        """A copy, which gets further faults by itself."""
        inside = {path: {*inner} for path, inner in self.inside.items()}
        return Document(self.lines, [*self.faults], {*self.faulty_paths}, inside)

    def fault(self, path: str, message: str, line: int = 0) -> None:
        """Add a fault at a path."""
        self.faults.append(Fault(line or self._line(path), path, message))
        self.faulty_paths.add(path)
        inner = path
        for outer in _around(path):
            self.inside.setdefault(outer, set()).add(inner)
            inner = outer

    def follow_up(self, path: str, message: str) -> None:
        """As `fault`, but without an effect where the path, or one inside or around it, has a fault
        already."""
        if path not in self.inside and self.faulty_paths.isdisjoint((path, *_around(path))):
            self.fault(path, message)

    def faulty(self, place: str) -> set[str]:
        """The fields of the message at a place in which something is wrong."""
        inner = (path.removeprefix(place) for path in self.inside.get(place, ()))
        return {path[1:] for path in inner if path.startswith(".")}

    def _line(self, path: str) -> int:
        """Where the path is written, or else the nearest one around it."""
        return next((self.lines[each] for each in (path, *_around(path)) if each in self.lines), 1)

    def pairs(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        """The keys of a mapping, each once, with their values."""
        if not isinstance(node, yaml.MappingNode) or node.tag != MAP:
            return self.fault(path, "must be a mapping")
        seen = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.fault(join(path, "?"), "is not a word", line)
                continue
            word, inner = key.value, join(path, key.value)
            if word == "<<" and not key.style:
                self.fault(inner, "merge keys are not read", line)
            elif word in seen:
                self.fault(inner, "is given twice", line)
            else:
                seen.add(word)
                self.lines[inner] = line
                yield word, value
        return None

    def items(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        """The paths of a list's elements, `path[0]` first, with the elements."""
        if not isinstance(node, yaml.SequenceNode) or node.tag != SEQ:
            return self.fault(path, "must be a list")
        for n, item in enumerate(node.value):
            self.lines[f"{path}[{n}]"] = item.start_mark.line + 1
            yield f"{path}[{n}]", item
        return None


def join(path: str, word: str) -> str:
    """The path of a key in the mapping at a path."""
    return f"{path}.{word}" if path else word


def _around(path: str) -> Iterator[str]:
    """The paths around a path, the nearest first; the last is the whole text."""
    while path:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
        yield path


def parse(data: bytes, document: Document) -> yaml.Node | None:
    """The YAML of a text; None, with its fault, where there is none."""
    if len(data) > MAX_BYTES:
        document.fault("", f"must have at most {MAX_BYTES} bytes")
        return None
    try:
        root = yaml.compose(data.decode(), Loader=yaml.BaseLoader)
    except RecursionError:
        document.fault("", "is nested too deeply")
    except UnicodeDecodeError as error:
        document.fault("", "is not UTF-8", 1 + data.count(b"\n", 0, error.start))
    except yaml.reader.ReaderError as error:
        text = data.decode()[: error.position]
        document.fault("", f"is not YAML: {error.reason}", 1 + text.count("\n"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        document.fault("", f"is not YAML: {problem}", mark.line + 1 if mark else 1)
    else:
        if root is None:
            document.fault("", "is empty")
        return root
    return None
