"""A text in YAML: the line of everything in it, and what is wrong with it.

Paths are those of the contract's checks: `services[2].weekly_hours[0].end_time`;
the empty one is the whole text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
    """What is known of a text that was read: the line of every path, and its faults."""

    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def copy(self) -> "Document":
        """A copy, which gets further faults by itself."""
        return replace(self, faults=[*self.faults])

    def fault(self, path: str, message: str, line: int = 0) -> None:
        """Add a fault at a path."""
        self.faults.append(Fault(line or self._line(path), path, message))

    def follow_up(self, path: str, message: str) -> None:
        """As `fault`, but without an effect where the path has a fault already."""
        if not any(_overlap(path, fault.path) for fault in self.faults):
            self.fault(path, message)

    def faulty(self, place: str) -> set[str]:
        """The fields of the message at a place in which something is wrong."""
        inner = (fault.path for fault in self.faults if fault.path.startswith(f"{place}."))
        return {re.split(r"[.\[]", path.removeprefix(f"{place}."))[0] for path in inner}

    def _line(self, path: str) -> int:
        """Where the path is written, or else the nearest one around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)

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


def _overlap(path: str, other: str) -> bool:
    """Whether two paths are the same, or one is inside the other."""
    outer, inner = sorted((path, other), key=len)
    return outer in ("", inner) or inner.startswith((f"{outer}.", f"{outer}["))


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
