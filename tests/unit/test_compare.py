from __future__ import annotations

from typing import Any

import pytest

from codeprm.judge.compare import (
    CompareMode,
    compare_stdout,
    compare_value,
    stdout_mode,
    value_mode,
)
from codeprm.sandbox.values import Opaque
from tests.golden_rows import ROWS, Row

INTS = CompareMode()
FLOATS = CompareMode(is_float=True)
WORDS = CompareMode(ignore_case=True)
LOOSE = CompareMode(is_float=True, tolerance=1e-4)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(f"{row.actual} -> {row.expected}"))
def test_rows_on_which_graders_disagree(row: Row) -> None:
    mode = stdout_mode([row.expected])
    assert compare_stdout(row.actual.encode(), row.expected, mode) is row.ours


@pytest.mark.parametrize(
    ("actual", "expected", "mode", "same"),
    [
        ("yes", "YES", INTS, False),
        ("0.333330", "0.333333", LOOSE, True),
        ("0.333330", "0.333333", FLOATS, False),
        ("0.3333330", "0.333333", FLOATS, True),
        ("3.0000001", "3", FLOATS, True),
        ("3.0000001", "3", INTS, False),
        ("9007199254740993", "9007199254740992", FLOATS, False),
        ("9007199254740993.0", "9007199254740992", FLOATS, False),
        ("9007199254740992.0", "9007199254740992", FLOATS, True),
        ("10000001", "10000000", LOOSE, False),
        ("-inf", "Infinity", FLOATS, False),
        ("inf", "5", FLOATS, False),
        ("nan", "5.0", FLOATS, False),
        ("1_000", "1000.0", FLOATS, False),
        ("\uff11", "1.0", FLOATS, False),
        ("1e3", "1000.0", FLOATS, True),
        ("-0.0", "0", INTS, True),
        ("1\u00a02", "1 2", INTS, False),
        ("10000001", "10000000", FLOATS, False),
    ],
)
def test_tokens(actual: str, expected: str, mode: CompareMode, same: bool) -> None:
    assert compare_stdout(actual.encode(), expected, mode) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (b"1\r\n2\r\n", "1\n2\n", True),
        (b"1\n2\n", "1\r\n2", True),
        (b"", "", True),
        (b"\n \n", "", True),
        (b"", "1", False),
        (b"1\n2", "1", False),
        (b"\xff\xfe1", "1", False),
        (b"\xef\xbb\xbf1", "1", False),
        (b"1\n\n\n", "1", True),
    ],
)
def test_lines(actual: bytes, expected: str, same: bool) -> None:
    assert compare_stdout(actual, expected, INTS) is same


def test_invalid_utf8_fails_even_where_no_token_differs() -> None:
    assert not compare_stdout(b"1 \xed\xa0\x80", "1 \ud800 ", INTS)


@pytest.mark.parametrize("mode", [INTS, FLOATS, WORDS])
def test_a_million_digits_cost_nothing(mode: CompareMode) -> None:
    digits = "7" * 1_000_000
    assert not compare_stdout(digits.encode() + b"8", digits + "9", mode)
    assert not compare_stdout(digits.encode() + b".5", "0.5", mode)


@pytest.mark.parametrize(
    ("outputs", "mode"),
    [
        (["1 2\n", "3"], INTS),
        (["1 2\n", "3.5"], FLOATS),
        (["1e5"], FLOATS),
        (["1.2.3", "v1.0"], INTS),
        ([".5"], FLOATS),
        (["Yes", "No\n"], WORDS),
        (["YES\n1 2", "NO"], WORDS),
        (["Yes", "Maybe"], INTS),
        (["Yes."], INTS),
        (["abc"], INTS),
        (["True\n0.5"], CompareMode(is_float=True, ignore_case=True)),
        ([], INTS),
        ([""], INTS),
    ],
)
def test_the_mode_is_decided_from_the_expected_outputs(
    outputs: list[str], mode: CompareMode
) -> None:
    assert stdout_mode(outputs) == mode


@pytest.mark.parametrize(
    ("actual", "expected", "mode", "same"),
    [
        ([1, 2], [1, 2], INTS, True),
        ((1, (2, 3)), [1, [2, 3]], INTS, True),
        ([1, 2], [2, 1], INTS, False),
        ([1], [1, 2], INTS, False),
        (1, [1, 2], INTS, False),
        (3.0, 3, INTS, True),
        (2.9999999999, 3, INTS, False),
        (2.9999999999, 3, FLOATS, True),
        (0.1 + 0.2, 0.3, FLOATS, True),
        (0.00005, 0, FLOATS, False),
        (10**16 + 1, 10**16, FLOATS, False),
        (1e16 + 2, 10**16, FLOATS, False),
        (7, 8, FLOATS, False),
        (True, 1, INTS, False),
        (1, True, INTS, False),
        (True, True, INTS, True),
        (None, None, INTS, True),
        (None, 0, INTS, False),
        ("a", "a", INTS, True),
        ("A", "a", INTS, False),
        ("A", "a", WORDS, True),
        (["Yes", 1], ["YES", 1], WORDS, True),
        (0.50001, 0.5, FLOATS, False),
        (0.50001, 0.5, LOOSE, True),
        ("1", 1, INTS, False),
        ({"1": [2]}, {"1": [2]}, INTS, True),
        ({"1": 2}, {"1": 2, "3": 4}, INTS, False),
        (float("nan"), float("nan"), FLOATS, False),
        (float("inf"), 1e308, FLOATS, False),
        (10**400, 1.5, FLOATS, False),
        (Opaque("set"), [1], INTS, False),
        ([Opaque("set")], [None], INTS, False),
    ],
)
def test_values(actual: Any, expected: Any, mode: CompareMode, same: bool) -> None:
    assert compare_value(actual, expected, mode) is same


def test_one_float_anywhere_makes_a_problem_float() -> None:
    assert value_mode([1, [2, {"a": [0.5]}]]) == FLOATS
    assert value_mode([1, [True, None, "0.5"]]) == INTS


def test_numbers_beyond_the_range_of_floats_are_not_all_the_same() -> None:
    mode = CompareMode(is_float=True)
    assert not compare_stdout(b"4e99999", "1e99999", mode)
    assert compare_stdout(b"1e99999", "1e99999", mode)


def test_case_is_ignored_of_ascii_letters_only() -> None:
    mode = CompareMode(ignore_case=True)
    assert compare_value("yes", "YES", mode)
    # the Kelvin sign, whose lower case is the letter k
    assert not compare_value("\u212a", "k", mode)
    assert compare_value("\u212a", "\u212a", mode)
