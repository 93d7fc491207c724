"""The offline annotator: comments that name the step, code untouched."""

from __future__ import annotations

import json
import textwrap

import pytest

from codeprm.backends.rules import annotate_program
from codeprm.datasets.minitaco import problems
from codeprm.reasoning import accepts, clean_reasoning, strip_comments


def block(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def test_comprehension_names_filter_change_and_answer() -> None:
    program = block("""
        n = int(input())
        nums = list(map(int, input().split()))
        values = [x * x for x in nums if x % 2 == 0]
        result = max(values, default=0)
        print(result)
    """)
    assert annotate_program(program) == block("""
        # read the count
        n = int(input())
        # read the numbers
        nums = list(map(int, input().split()))
        # keep even, square
        values = [x * x for x in nums if x % 2 == 0]
        # take the largest, 0 if none
        result = max(values, default=0)
        # print the answer
        print(result)
    """)


def test_loop_is_commented_at_its_own_indentation() -> None:
    program = block("""
        def solve(nums):
            total = 0
            for x in nums:
                if x > 10:
                    total += -x
            return total
    """)
    assert annotate_program(program) == block("""
        def solve(nums):
            total = 0
            # go through the numbers
            for x in nums:
                # keep greater than 10
                if x > 10:
                    # negate, add to the sum
                    total += -x
            # return the answer
            return total
    """)


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        ("b = [v for v in a if v % 2 != 0]", "keep odd"),
        ("b = [v for v in a if v % 3 == 0]", "keep multiples of 3"),
        ("b = [v for v in a if v <= 4]", "keep at most 4"),
        ("b = [v ** 3 for v in a]", "cube each"),
        ("b = [v * v * v for v in a]", "cube each"),
        ("b = [2 * v for v in a if v < 0]", "keep negative, double"),
        ("b = [v // 2 for v in a if f(v)]", "keep some, halve"),
        ("r = c[0] if c else 0", "take the first, 0 if none"),
        ("r = c[-1]", "take the last"),
        ("r = max(c) + min(c)", "take largest plus smallest"),
        ("r = c[::-1]", "reverse"),
        ("r = v % 7", "modulo 7"),
        ("c.append(v + 5)", "add 5"),
        ("c.append(v)", "collect it"),
        ("a.append(int(input()))", "read a number"),
    ],
)
def test_idioms(line: str, comment: str) -> None:
    assert annotate_program(line) == f"# {comment}\n{line}"


@pytest.mark.parametrize(
    "program",
    [
        "if x > 0: print(x); return_ = 1",
        "x = 1; \\\nprint(x)",
        'x = """\nprint(1)\n"""',
        "é = 'é'; print(é)",
        "# why\nprint(x)",
        "x = (",
        "",
    ],
)
def test_no_line_is_added_where_it_has_no_place(program: str) -> None:
    annotated = annotate_program(program)
    assert strip_comments(annotated) == strip_comments(program)
    assert annotate_program(annotated) == annotated


def test_minitaco_programs_get_short_comments_that_are_accepted_and_survive() -> None:
    words = set()
    for row in problems(split="train", n=8):
        for program in json.loads(row["solutions"]):
            annotated = annotate_program(program)
            assert accepts(program, annotated)
            assert strip_comments(annotated) == program
            assert clean_reasoning(annotated, row["starter_code"]) == annotated
            comments = [line for line in annotated.split("\n") if line.lstrip().startswith("#")]
            assert len(comments) >= 2
            assert all(len(comment.split()) <= 9 for comment in comments)
            words |= {word for comment in comments for word in comment.split()}
    assert len(words) < 90
