"""The results of mutants, kept in a file of JSON lines for each module."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .forks import Outcome
from .mutants import Mutant

FOLDER = Path("build/mutants")


class ModuleResults:
    """The outcomes of the mutants of a module; of one that was run again, the last.

    `kills` are how many mutants each test has killed.
    """

    def __init__(self, path: Path) -> None:
        name = ".".join(path.relative_to("server").with_suffix("").parts)
        self._file = FOLDER / f"{name}.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else ()
        self.records = {self._key(record): record for record in map(json.loads, lines)}
        self.kills = Counter(record["killer"] for record in self.records.values())

    @staticmethod
    def _key(record: Mapping[str, Any]) -> tuple[int, str, str]:
        return record["line"], record["operator"], record["change"]

    def result(self, mutant: Mutant) -> str:
        """The result of a mutant; empty where it was not run."""
        record = self.records.get((mutant.line, mutant.operator, mutant.change))
        return str(record["result"]) if record else ""

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Keep an outcome."""
        facts = {"line": mutant.line, "operator": mutant.operator, "change": mutant.change}
        record = {**facts, **outcome._asdict()}
        self.records[self._key(record)] = record
        self.kills[outcome.killer] += 1
        FOLDER.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps(record) + "\n")
