"""Mutants differ from their original by one step, and many of them by what they do."""

from __future__ import annotations

import ast
import contextlib
import io

import pytest

from codeprm.judge.mutants import mutants

PROGRAM = """
best = 0
for x in [3, 1, 2]:
    if x > best and not x == 7:
        best = max(best, x)
    if best >= 3:
        break
print(best + 1, x)
"""


def output(program: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "mutant", "exec"), {})
    return out.getvalue()


def test_mutants_are_different_programs_that_parse() -> None:
    made = mutants(PROGRAM, 100, seed="s")
    assert len(made) == len(set(made)) >= 12
    original = ast.unparse(ast.parse(PROGRAM))
    for program in made:
        changed = [
            (a, b)
            for a, b in zip(original.splitlines(), program.splitlines(), strict=True)
            if a != b
        ]
        assert len(changed) == 1, program


def test_many_mutants_do_something_else() -> None:
    wanted = output(PROGRAM)
    outputs = [output(program) for program in mutants(PROGRAM, 100, seed="s")]
    assert sum(text != wanted for text in outputs) >= 8


def test_the_draw_depends_on_the_seed_alone() -> None:
    assert mutants(PROGRAM, 3, seed="a") == mutants(PROGRAM, 3, seed="a")
    assert mutants(PROGRAM, 3, seed="a") != mutants(PROGRAM, 3, seed="b")
    assert len(mutants(PROGRAM, 3, seed="a")) == 3


@pytest.mark.parametrize("program", ["", "print(", "print(input())"])
def test_nothing_to_change_is_no_mutant(program: str) -> None:
    assert mutants(program, 5, seed="s") == []
    assert mutants(PROGRAM, 0, seed="s") == []
