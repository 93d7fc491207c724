"""Reasoning steps: comments before the important steps of a program, made, checked, cleaned.

    solution -> annotation_messages -> a chat model -> extract_answer -> accepts -> clean_reasoning

An annotator may only add comments: an answer counts if its syntax tree is the solution's. Cleaning
then gives all comments one place, the lines above what they are about, and drops programs with
hardly any comments or hardly any code. Nothing here changes what a program does.
"""

from __future__ import annotations

import ast
import io
import random
import re
import token
import tokenize
from typing import NamedTuple

from codeprm.annotation_shots import SHOTS, Shot
from codeprm.prompts import Message, fenced_program
from codeprm.syntax import parse_program

MIN_COMMENT_RATIO = 0.01
MAX_COMMENT_RATIO = 0.8
N_SHOTS = 3

_INSTRUCTIONS = (
    "You are given a programming problem and a Python program that solves it. Repeat the program "
    "in one fenced block and add a comment line before every important step that says why the "
    "step is taken. Add comments only: do not change, move, rename or remove any code."
)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


class Comment(NamedTuple):
    """A comment and where it stands; rows count from 0."""

    row: int
    column: int
    text: str


class Layout(NamedTuple):
    """What a tokenizer sees of a program: its comments, and the rows each long string covers."""

    comments: list[Comment]
    strings: list[range]


def same_syntax(a: str, b: str) -> bool:
    """Whether two texts are the same program; comments and layout do not count."""
    tree_a, tree_b = parse_program(a), parse_program(b)
    if tree_a is None or tree_b is None:
        return False
    try:
        return ast.dump(tree_a) == ast.dump(tree_b)
    except RecursionError:
        return False


def strip_comments(program: str) -> str:
    """The program without comments and without the lines that held nothing else."""
    layout = _layout(program)
    if layout is None:
        return program
    lines: list[str | None] = list(program.split("\n"))
    for comment in layout.comments:
        code = (lines[comment.row] or "")[: comment.column].rstrip()
        lines[comment.row] = code or None
    return _if_same(program, "\n".join(line for line in lines if line is not None))


def leading_comments(program: str) -> str:
    """Comments at the end of a line of code become a line of their own above it."""
    layout = _layout(program)
    if layout is None:
        return program
    lines = program.split("\n")
    above: dict[int, list[str]] = {}
    for comment in layout.comments:
        code = lines[comment.row][: comment.column]
        if not code.strip():
            continue
        lines[comment.row] = code.rstrip()
        row = _free_row(comment.row, lines, layout.strings)
        if comment.text.strip("#! "):
            above.setdefault(row, []).append(_indent(lines[row]) + comment.text)
    moved = [text for row, line in enumerate(lines) for text in (*above.get(row, ()), line)]
    return _if_same(program, "\n".join(moved))


def comment_ratio(program: str) -> float:
    """Comment blocks (runs of comment lines) per non-blank character of code."""
    layout = _layout(program)
    n_code = len("".join(strip_comments(program).split()))
    if layout is None or n_code == 0:
        return 0.0
    rows = {comment.row for comment in layout.comments}
    return sum(1 for row in rows if row - 1 not in rows) / n_code


def clean_reasoning(program: str, starter_code: str = "") -> str | None:
    """The program with its comments in order; None if it does not parse or has no fit comments."""
    text = _parsing(program.replace("\r\n", "\n"), starter_code)
    if text is None:
        return None
    text = leading_comments(text).strip("\n").rstrip()
    return text if MIN_COMMENT_RATIO <= comment_ratio(text) <= MAX_COMMENT_RATIO else None


def accepts(program: str, answer: str) -> bool:
    """Whether an annotator's answer is the program plus at least one comment."""
    return comment_ratio(answer) > comment_ratio(program) and same_syntax(program, answer)


def annotation_messages(
    statement: str, program: str, *, rng: random.Random, n_shots: int = N_SHOTS
) -> tuple[Message, ...]:
    """A chat that asks for the program with comments, after `n_shots` examples drawn by `rng`."""
    messages = [Message("system", _INSTRUCTIONS)]
    for shot in rng.sample(SHOTS, n_shots):
        messages.append(Message("user", _question(shot.statement, bare_program(shot))))
        messages.append(Message("assistant", _fenced(shot.annotated)))
    messages.append(Message("user", _question(statement, program)))
    return tuple(messages)


def bare_program(shot: Shot) -> str:
    """The program of a shot before it was annotated."""
    return strip_comments(shot.annotated)


def extract_answer(text: str) -> str:
    """The program in a chat model's answer; "" if there is none."""
    return fenced_program(text, "").strip("\n")


def _question(statement: str, program: str) -> str:
    return f"Problem:\n{statement.strip()}\n\nProgram:\n{_fenced(program)}"


def _fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def _layout(program: str) -> Layout | None:
    """None where the text cannot be tokenized."""
    comments: list[Comment] = []
    strings: list[range] = []
    opened: list[int] = []
    # one token up to Python 3.11, start and end tokens around the parts from 3.12 on
    f_start, f_end = getattr(token, "FSTRING_START", -1), getattr(token, "FSTRING_END", -1)
    try:
        for found in tokenize.generate_tokens(io.StringIO(program).readline):
            row, column = found.start[0] - 1, found.start[1]
            if found.type == token.COMMENT:
                comments.append(Comment(row, column, found.string.rstrip()))
            elif found.type == token.STRING:
                strings.append(range(row + 1, found.end[0]))
            elif found.type == f_start:
                opened.append(row)
            elif found.type == f_end:
                strings.append(range(opened.pop() + 1, found.end[0]))
    except (tokenize.TokenError, SyntaxError):
        return None
    return Layout(comments, strings)


def _free_row(row: int, lines: list[str], strings: list[range]) -> int:
    """The nearest row at or above `row` before which a line can be put.

    It must not begin within a string, nor be joined to the row above by a backslash.
    """
    while row > 0:
        if any(row in rows for rows in strings):
            row = min(rows.start for rows in strings if row in rows) - 1
        elif lines[row - 1].endswith("\\"):
            row -= 1
        else:
            break
    return row


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _if_same(program: str, changed: str) -> str:
    return changed if same_syntax(program, changed) else program


def _parsing(program: str, starter_code: str) -> str | None:
    """The text, or the text behind the starter code, whichever parses; tabs become spaces."""
    for text in (program, f"{starter_code.rstrip()}\n{program}"):
        spaced = _INDENT.sub(lambda match: match[0].replace("\t", "    "), text)
        if parse_program(text) is None:
            if parse_program(spaced) is not None:
                return spaced
        else:
            return spaced if same_syntax(text, spaced) else text
    return None
