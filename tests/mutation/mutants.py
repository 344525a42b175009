"""The mutants of a module: its source with one change each."""

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from .operators import operators

Position = tuple[int, int]

OPTIMIZED = 1
"""The flag of the code of functions, which that of modules and classes has not."""


class Mutant(NamedTuple):
    """A module's source with one change, that of an operator at a line."""

    line: int
    operator: str
    source: str
    change: str


def mutants(path: Path) -> list[Mutant]:
    """The mutants of a module, by line; no two have the same source."""
    source = path.read_text()
    nodes = list(ast_nodes(get_ast(source)))
    ignored = list(_ignored(ast.parse(source)))
    by_source: dict[str, Mutant] = {}
    for operator in operators():
        positions = [at for node in nodes for at in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(positions):
            if not any(first <= start and end <= last for first, last in ignored):
                mutated = mutate_code(source, operator, occurrence)
                name = type(operator).__name__
                if mutated != source and _compiles(mutated):
                    change = _change(source, mutated)
                    by_source.setdefault(mutated, Mutant(start[0], name, mutated, change))
    return sorted(by_source.values(), key=lambda mutant: (mutant.line, mutant.operator))


def changed_functions(path: Path, mutant: Mutant) -> dict[tuple[str, int], CodeType]:
    """The code of the functions that a mutant changes, by qualified name and line.

    Empty where it changes what runs when the module is imported.
    """
    before, after = (
        {(code.co_qualname, code.co_firstlineno): code for code in _codes(source, path)}
        for source in (path.read_text(), mutant.source)
    )
    if before.keys() != after.keys():
        return {}
    changed = {key: code for key, code in after.items() if code != before[key]}
    outer = [key for key, code in changed.items() if not code.co_flags & OPTIMIZED]
    if any(_own_parts(before[key]) != _own_parts(after[key]) for key in outer):
        return {}
    return {key: code for key, code in changed.items() if key not in outer}


def _ignored(tree: ast.Module) -> Iterator[tuple[Position, Position]]:
    """Where no mutant is made: annotations, decorators, and the imports of a module."""
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        parts += getattr(node, "decorator_list", ())
        parts += [node] if isinstance(node, ast.ImportFrom) else []
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _change(before: str, after: str) -> str:
    """The lines that differ."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _codes(source: str, path: Path) -> Iterator[CodeType]:
    """The code of a module, and all that is in it."""
    waiting = [compile(source, str(path.resolve()), "exec")]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [part for part in code.co_consts if isinstance(part, CodeType)]


def _own_parts(code: CodeType) -> tuple[object, ...]:
    """A code without what is nested in it."""
    constants = [part for part in code.co_consts if not isinstance(part, CodeType)]
    return code.co_code, code.co_names, constants
