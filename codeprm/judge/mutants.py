"""Programs that are one small step away from a right one, to see whether tests notice.

A mutant differs from its original by one change in the syntax tree: a comparison or an operator
becomes its neighbour, a number moves by one, `and` becomes `or`, `not` and `break` go, min becomes
max. Some changes do not change what a program does, so the share of mutants that pass
is an upper estimate of the wrong programs that do.

Made for audits, where only what a program does counts: the tree is changed and written anew, so
every place can change, also where the text would need parentheses. `codeprm.judge.edits` makes
those to learn from, which must look as their originals do; the two find different places, so one
engine for both would draw other mutants for the audits.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from typing import Any

from codeprm.syntax import parse_program

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}

Undo = Callable[[], None]


def mutants(program: str, n: int, *, seed: str) -> list[str]:
    """At most `n` different ones, drawn by the seed; none of a text that does not parse."""
    tree = parse_program(program)
    if tree is None or n <= 0:
        return []
    original = ast.unparse(tree)
    places = list(_places(tree))
    random.Random(seed).shuffle(places)
    found: dict[str, None] = {}
    for change in places:
        undo = change()
        text = ast.unparse(tree)
        undo()
        if text != original:
            found[text] = None
        if len(found) == n:
            break
    return list(found)


def _places(tree: ast.Module) -> Iterator[Callable[[], Undo]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for position, operator in enumerate(node.ops):
                if type(operator) in COMPARISONS:
                    yield _item_change(node.ops, position, COMPARISONS[type(operator)]())
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            if type(node.op) in OPERATORS:
                yield _change(node, "op", OPERATORS[type(node.op)]())
        elif isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield _change(node, "op", other)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield _change(node, "operand", ast.UnaryOp(op=ast.Not(), operand=node.operand))
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield _change(node, "value", node.value + 1)
            yield _change(node, "value", node.value - 1)
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield _change(node, "id", NAMES[node.id])
        elif isinstance(node, ast.For | ast.While | ast.If):
            for position, statement in enumerate(node.body):
                if isinstance(statement, ast.Break | ast.Continue):
                    yield _item_change(node.body, position, ast.Pass())


def _change(node: ast.AST, name: str, value: object) -> Callable[[], Undo]:
    old = getattr(node, name)

    def change() -> Undo:
        setattr(node, name, value)
        return lambda: setattr(node, name, old)

    return change


def _item_change(items: list[Any], position: int, value: ast.AST) -> Callable[[], Undo]:
    old = items[position]

    def change() -> Undo:
        items[position] = value

        def undo() -> None:
            items[position] = old

        return undo

    return change
