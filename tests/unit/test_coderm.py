"""CodeRM's comparison, by the rows on which it and ours disagree."""

from __future__ import annotations

from typing import Any

import pytest

from codeprm.judge import coderm
from codeprm.sandbox.values import Opaque
from tests.golden_rows import ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(f"{row.actual} -> {row.expected}"))
def test_rows_on_which_graders_disagree(row: Row) -> None:
    assert coderm.compare_stdout(row.actual.encode(), row.expected) is row.coderm


def test_the_two_disagree_both_ways() -> None:
    assert sum(row.coderm and not row.ours for row in ROWS) >= 10
    assert sum(row.ours and not row.coderm for row in ROWS) >= 4


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (b"1\r\n2\r\n", "1\n2", True),
        (b"\n 7 \n\n", "7", True),
        (b"1\n\n2\n3", "1\n2\n\n3", False),
        (b"\xff", "1", False),
        (b"nan", "0.5", False),
        (b"", "", True),
    ],
)
def test_lines(actual: bytes, expected: str, same: bool) -> None:
    assert coderm.compare_stdout(actual, expected) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ([1, [2.00001]], [1, [2]], True),
        ((1, 2), [1, 2], False),
        ([(1, 2)], [[1, 2]], False),
        (0.00005, 0, True),
        (True, 1, True),
        (1e9 + 0.5, 1e9 + 0.6, False),
        (float("nan"), float("nan"), False),
        (10**400, 1.5, False),
        ({"a": 0.00001}, {"a": 0}, False),
        ("A", "a", False),
        ([1], [1, 1], False),
        (Opaque("set"), [1], False),
        (None, None, True),
    ],
)
def test_values(actual: Any, expected: Any, same: bool) -> None:
    assert coderm.compare_value(actual, expected) is same
