"""Which changes make a mutant: operators of cosmic-ray, and some that it has not."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import parso
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

Position = tuple[int, int]

Node = Any
"""A node of parso's tree."""

CHOSEN = re.compile(
    r"core/("
    r"AddNot|Replace(True|False|And|Or|Break|Continue)With\w+"
    r"|ExceptionReplacer|NumberReplacer|ZeroIterationForLoop"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Mod_FloorDiv"
    r"|BitOr_BitAnd|BitAnd_BitOr|LShift_RShift|RShift_LShift)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|Eq_LtE|Eq_GtE|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt"
    r"|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt|Is_IsNot|IsNot_Is)"
    r")"
)
"""Of several operators that change the same place alike, one or two; those that the types of the
values rule out, and decorators, most of which are caches, are left out."""


class ReplacePart(Operator):  # type: ignore[misc]
    """Replaces nodes of the types `TYPES`, where `replacement` has one."""

    TYPES: tuple[str, ...]

    def replacement(self, node: Node) -> str | None:
        """The code in place of the node's; None where it stays."""
        raise NotImplementedError

    def mutation_positions(self, node: Node) -> Iterator[tuple[Position, Position]]:
        """The node's position, where it can be replaced."""
        if node.type in self.TYPES and self.replacement(node) is not None:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Node, index: int) -> Node:
        """The node that replaces it."""
        return parso.parse(f"{node.get_first_leaf().prefix}{self.replacement(node)}")

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: cosmic-ray's own tests need them."""
        return ()


class NegateFilter(ReplacePart):
    """Negates the condition of a comprehension."""

    TYPES = ("comp_if",)

    def replacement(self, node: Node) -> str | None:
        """`if not (condition)`."""
        condition, *rest = node.children[1:]
        return f"if not ({condition.get_code()}){''.join(part.get_code() for part in rest)}"


class NegateMembership(ReplacePart):
    """`in` for `not in`, and the reverse."""

    TYPES = ("comparison",)

    def replacement(self, node: Node) -> str | None:
        """The comparison with the other operator."""
        if len(node.children) > 3:
            return None
        left, operator, right = node.children
        words = operator.get_code(include_prefix=False).split()
        other = {("in",): "not in", ("not", "in"): "in"}.get(tuple(words))
        left_code = left.get_code(include_prefix=False)
        return f"{left_code} {other}{right.get_code()}" if other else None


class RemoveStatement(ReplacePart):
    """`pass` for a return, a raise, a call, or an assignment to an attribute or an item."""

    TYPES = ("simple_stmt",)
    REMOVED = ("return_stmt", "raise_stmt", "atom_expr", "power", "del_stmt", "yield_expr")

    def replacement(self, node: Node) -> str | None:
        """`pass`, with as many lines as before."""
        statement = node.children[0]
        if node.search_ancestor("funcdef") is None:
            return None
        if statement.type == "expr_stmt":
            target, operator = statement.children[:2]
            is_new_name = target.type == "name" and getattr(operator, "value", "=") == "="
            removed = not is_new_name and operator.type != "annassign"
        else:
            removed = statement.type in self.REMOVED
        lines = node.get_code(include_prefix=False).count("\n")
        return "pass" + "\n" * lines if removed else None


def operators() -> Iterator[Operator]:
    """All operators."""
    chosen = (get_operator(name)() for name in sorted(operator_names()) if CHOSEN.fullmatch(name))
    return chain(chosen, (NegateFilter(), NegateMembership(), RemoveStatement()))
