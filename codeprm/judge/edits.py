"""Mutants that keep the text around them: comments, spaces and names stay where they are.

Made to learn from, where a text that was written anew would give the mutant away. The changes are
of the kinds of `codeprm.judge.mutants`, made in the source: only the characters of one operator,
number, name or statement change, so nothing but its meaning tells a mutant from its original, and
the reasoning comments still stand above the step that is broken now. Numbers do not become negative
here, and `break` and `continue` go wherever they stand. An edit counts only if the new text parses
to the original's tree with that one change; where precedence would make it another (`a - b * c` to
`a - b + c`), it is left out.

A reasoning step is a block of lines that hold nothing but a comment; its code reaches to the next
block. Steps count from 0; what comes before the first block is in none.
"""

from __future__ import annotations

import ast
import bisect
import io
import random
import re
import tokenize
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from codeprm.judge.mutants import COMPARISONS, NAMES, OPERATORS
from codeprm.syntax import parse_program

ORIGIN = "mutation"

SIGNS: dict[type[ast.operator] | type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
_NOT = re.compile(r"not\b[ \t]*")


class Edit(NamedTuple):
    """A mutant: the new program, the row of the change (from 0), what was there and what is."""

    program: str
    row: int
    old: str
    new: str


class _Change(NamedTuple):
    """Characters `start` to `stop` become `new`; several where one operator is written twice."""

    spans: tuple[tuple[int, int], ...]
    new: str


def edits(program: str, n: int, *, seed: str) -> list[Edit]:
    """At most `n` different mutants, drawn by the seed; none of a text that does not parse."""
    tree = parse_program(program)
    # a carriage return alone ends a row for the parser, but not for the tokenizer
    if tree is None or n <= 0 or "\r" in program.replace("\r\n", ""):
        return []
    try:
        source = _Source(program)
        # a tree too deep to compare is so with every edit
        _is_one_change(tree, program)
    except (tokenize.TokenError, SyntaxError, RecursionError):
        return []
    changes = list(dict.fromkeys(_changes(tree, source)))
    random.Random(seed).shuffle(changes)
    found: dict[str, Edit] = {}
    for change in changes:
        edit = _applied(source, change)
        if _is_one_change(tree, edit.program):
            found.setdefault(edit.program, edit)
        if len(found) == n:
            break
    return list(found.values())


def step_of_row(program: str, row: int) -> int | None:
    """The reasoning step that a row (from 0) belongs to; None before the first one."""
    starts = step_starts(program)
    step = bisect.bisect_right(starts, row) - 1
    return step if step >= 0 else None


def step_starts(program: str) -> list[int]:
    """First rows of the program's comment blocks; none where the text cannot be tokenized."""
    try:
        found = list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    rows = {
        token.start[0] - 1
        for token in found
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }
    return sorted(row for row in rows if row - 1 not in rows)


class _Source:
    """A program's text by character, for positions that count in rows and bytes."""

    def __init__(self, program: str) -> None:
        self.text = program
        self._lines = program.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self._lines)]
        tokens = tokenize.generate_tokens(io.StringIO(program).readline)
        kinds = (tokenize.OP, tokenize.NAME)
        self._tokens = [
            (self._starts[token.start[0] - 1] + token.start[1], token.string)
            for token in tokens
            if token.type in kinds and token.string not in "()"
        ]
        self._token_starts = [start for start, _ in self._tokens]

    def at(self, row: int, byte: int) -> int:
        """Character that stands at a tree's position; its rows count from 1."""
        line = self._lines[row - 1]
        column = byte if line.isascii() else len(line.encode()[:byte].decode("utf-8", "ignore"))
        return self._starts[row - 1] + column

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_row, end_byte = node.end_lineno, node.end_col_offset
        assert end_row is not None
        assert end_byte is not None
        return self.at(node.lineno, node.col_offset), self.at(end_row, end_byte)

    def between(self, start: int, stop: int, sign: str) -> tuple[int, int] | None:
        """The only words between two places, if they are `sign`; parentheses do not count."""
        first = bisect.bisect_left(self._token_starts, start)
        last = bisect.bisect_left(self._token_starts, stop)
        words = self._tokens[first:last]
        if not words or " ".join(word for _, word in words) != sign:
            return None
        return words[0][0], words[-1][0] + len(words[-1][1])

    def row_of(self, position: int) -> int:
        return bisect.bisect_right(self._starts, position) - 1


def _changes(tree: ast.Module, source: _Source) -> Iterator[_Change]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = pairwise([node.left, *node.comparators])
            for operator, pair in zip(node.ops, sides, strict=True):
                other = COMPARISONS.get(type(operator))
                if other is not None:
                    yield from _sign(source, [pair], SIGNS[type(operator)], SIGNS[other])
        elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
            old, new = SIGNS[type(node.op)], SIGNS[OPERATORS[type(node.op)]]
            if isinstance(node, ast.BinOp):
                yield from _sign(source, [(node.left, node.right)], old, new)
            else:
                yield from _sign(source, [(node.target, node.value)], f"{old}=", f"{new}=")
        elif isinstance(node, ast.BoolOp):
            pairs = list(pairwise(node.values))
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield from _sign(source, pairs, *words)
        else:
            yield from _word_changes(node, source)


def _word_changes(node: ast.AST, source: _Source) -> Iterator[_Change]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start, _ = source.span(node)
        if found := _NOT.match(source.text, start):
            yield _Change(((start, found.end()),), "")
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        start, stop = source.span(node)
        if source.text[start:stop] == str(node.value):
            yield _Change(((start, stop),), str(node.value + 1))
            if node.value > 0:
                yield _Change(((start, stop),), str(node.value - 1))
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield _Change((source.span(node),), NAMES[node.id])
    elif isinstance(node, ast.Break | ast.Continue):
        yield _Change((source.span(node),), "pass")


def _sign(
    source: _Source, pairs: Sequence[tuple[ast.expr, ast.expr]], old: str, new: str
) -> Iterator[_Change]:
    found = [source.between(source.span(a)[1], source.span(b)[0], old) for a, b in pairs]
    spans = tuple(span for span in found if span is not None)
    if len(spans) == len(pairs):
        yield _Change(spans, new)


def _applied(source: _Source, change: _Change) -> Edit:
    text, (start, stop) = source.text, change.spans[0]
    for a, b in reversed(change.spans):
        text = text[:a] + change.new + text[b:]
    return Edit(text, source.row_of(start), source.text[start:stop], change.new)


def _is_one_change(tree: ast.Module, program: str) -> bool:
    """Whether the program's tree is the given one but for one node."""
    other = parse_program(program)
    return other is not None and _differences(tree, other) == 1


def _differences(a: object, b: object) -> int:
    """Nodes that differ by themselves: 2 stands for more than one."""
    if isinstance(a, ast.UnaryOp) and isinstance(a.op, ast.Not) and not _is_not(b):
        return 1 + _differences(a.operand, b)
    if type(a) is not type(b):
        leaf = ast.operator | ast.cmpop | ast.boolop | ast.Break | ast.Continue | ast.Pass
        return 1 if isinstance(a, leaf) and isinstance(b, leaf) else 2
    if isinstance(a, ast.AST):
        names = a._fields
        return min(2, sum(_differences(getattr(a, n, None), getattr(b, n, None)) for n in names))
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return 2
        return min(2, sum(_differences(x, y) for x, y in zip(a, b, strict=True)))
    return int(a != b)


def _is_not(node: object) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
