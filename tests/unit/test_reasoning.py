"""Comments are moved, counted and stripped; programs stay what they are."""

from __future__ import annotations

import random
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.annotation_shots import SHOTS
from codeprm.reasoning import (
    accepts,
    annotation_messages,
    bare_program,
    clean_reasoning,
    comment_ratio,
    extract_answer,
    leading_comments,
    same_syntax,
    strip_comments,
)


def block(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("x = 1", "x  =  (1)  # one", True),
        ("x = 'a'", 'x = "a"', True),
        ("x = 1", "x = 2", False),
        ("x = 1", "y = 1", False),
        ("if a:\n  b()", "if a:\n    # why\n    b()", True),
        ("a\nb", "a; b", True),
        ("x = '# no'", "x = ''", False),
        ("x = (", "x = (", False),
        ("x = 1\x00", "x = 1", False),
    ],
)
def test_same_syntax(a: str, b: str, same: bool) -> None:
    assert same_syntax(a, b) is same


TRAILING = [
    ("x = 1  # one", "# one\nx = 1"),
    ("# above\nx = 1  # beside", "# above\n# beside\nx = 1"),
    ("if x:  # test\n    y()  # call", "# test\nif x:\n    # call\n    y()"),
    ("if x:\n    a()\nelse:  # other\n    b()", "if x:\n    a()\n# other\nelse:\n    b()"),
    ("x = '# no'  # yes", "# yes\nx = '# no'"),
    ('x = """a\n# no\nb"""  # yes\ny = 1', '# yes\nx = """a\n# no\nb"""\ny = 1'),
    ("x = [\n    1,  # one\n    2,\n]", "x = [\n    # one\n    1,\n    2,\n]"),
    ("x = 1 + \\\n    2  # sum", "# sum\nx = 1 + \\\n    2"),
    ("x = f'{1}#{2}'  # f", "# f\nx = f'{1}#{2}'"),
    ('x = f"""{1}\n#{2}"""  # f', '# f\nx = f"""{1}\n#{2}"""'),
    ("if x:\n\ty()  # tab", "if x:\n\t# tab\n\ty()"),
    ("x = 1  #", "x = 1"),
    ("x = 'é'  # ö", "# ö\nx = 'é'"),
    ("x = (  # open", "x = (  # open"),
    ("x = 1", "x = 1"),
    ("", ""),
]


@pytest.mark.parametrize(("program", "expected"), TRAILING)
def test_trailing_comments_become_leading(program: str, expected: str) -> None:
    assert leading_comments(program) == expected


def test_strip_comments() -> None:
    program = block('''
        #!/usr/bin/env python3
        x = "# not one"  # one
        # alone

        def f():
            """# kept"""
            # inner
            return x
    ''')
    assert strip_comments(program) == block('''
        x = "# not one"

        def f():
            """# kept"""
            return x
    ''')
    assert strip_comments("x = ( # open") == "x = ( # open"


def test_comment_ratio_counts_blocks() -> None:
    assert comment_ratio("# a\n# b\nx=1\n# c\ny=2") == pytest.approx(2 / 6)
    assert comment_ratio("x = 1") == 0.0
    assert comment_ratio("# only") == 0.0


@pytest.mark.parametrize(
    ("program", "starter", "expected"),
    [
        ("x = 1  # one", "", "# one\nx = 1"),
        ("\n\n# one\nx = 1\n\n", "", "# one\nx = 1"),
        ("x = 1", "", None),
        ("# " + "long " * 50 + "\nx = '" + "x" * 200 + "'", "", None),
        ("# one\nx = (", "", None),
        ("# one\r\nx = 1\r\ny = 2", "", "# one\nx = 1\ny = 2"),
        ("if a:\n\t# b\n\tb()", "", "if a:\n    # b\n    b()"),
        ("if a:\n        # b\n        b()\n\tc()", "", None),
        ("# a\nx = '''\n\ttab'''", "", "# a\nx = '''\n\ttab'''"),
        (
            "    # add\n    return x + 1",
            "def f(x):\n    ",
            "def f(x):\n    # add\n    return x + 1",
        ),
        ("# whole\ndef f(x):\n    return x", "def f(x):\n    ", "# whole\ndef f(x):\n    return x"),
    ],
)
def test_clean_reasoning(program: str, starter: str, expected: str | None) -> None:
    assert clean_reasoning(program, starter) == expected


def test_answers_count_only_with_the_same_code_and_a_new_comment() -> None:
    assert accepts("x = 1", "# one\nx = 1")
    assert not accepts("x = 1", "x = 1")
    assert not accepts("x = 1", "# one\nx = 2")
    assert not accepts("x = 1", "")


def test_shots_are_seven_and_survive_cleaning() -> None:
    assert len(SHOTS) == 7
    for shot in SHOTS:
        assert "#" not in bare_program(shot).replace("'#'", "")
        assert accepts(bare_program(shot), shot.annotated)
        assert clean_reasoning(shot.annotated) == shot.annotated


def test_annotation_chat_has_three_shots_and_the_question_last() -> None:
    messages = annotation_messages("Add.", "x = 1", rng=random.Random(0))
    roles = [message.role for message in messages]
    assert roles == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[-1].content == "Problem:\nAdd.\n\nProgram:\n```python\nx = 1\n```"
    assert len({message.content for message in messages}) == len(messages)
    for question, answer in zip(messages[1:-1:2], messages[2:-1:2], strict=True):
        assert accepts(extract_answer(question.content), extract_answer(answer.content))
    assert messages != annotation_messages("Add.", "x = 1", rng=random.Random(3))


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Here:\n```python\n\nx = 1\n```\nDone.", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("x = 1\n", "x = 1"),
        ("I cannot do that.", ""),
        ("```python\nx = 1", "x = 1"),
    ],
)
def test_extract_answer(text: str, program: str) -> None:
    assert extract_answer(text) == program


FRAGMENTS = st.sampled_from(
    ["x = 1", "  # c", "#", "\n", "\n    ", "if x:", "'''", "'", '"""', "\\\n", "(", ")", "[1,",
     "]", "f'{x}'", "\t", ";", "y", "é", "else:", "pass", "\x0c", "\u2028"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=14).map("".join))
def test_moving_and_stripping_never_change_a_program(program: str) -> None:
    moved, stripped = leading_comments(program), strip_comments(program)
    assert moved == program or same_syntax(moved, program)
    assert stripped == program or same_syntax(stripped, program)
    assert leading_comments(moved) == moved
    assert strip_comments(stripped) == stripped
