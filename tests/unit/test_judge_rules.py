"""How a problem asks for other rules than its expected outputs suggest."""

from __future__ import annotations

import pytest

from codeprm.errors import DataError
from codeprm.judge.compare import TOLERANCE, CompareMode
from codeprm.judge.rules import Rules, parse_rules, stated_tolerance


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("grade/1", Rules()),
        ("grade/1+case", Rules(ignore_case=True)),
        ("grade/1+float+eps=0.0001", Rules(is_float=True, tolerance=1e-4)),
        ("grade/1+case+float+eps=1e-05", Rules(ignore_case=True, is_float=True, tolerance=1e-5)),
    ],
)
def test_rules_are_read_as_they_are_written(text: str, rules: Rules) -> None:
    assert parse_rules(text) == rules
    assert str(rules) == text


@pytest.mark.parametrize(
    "text", ["", "grade/2", "grade/1+", "grade/1+tol", "grade/1+eps=x", "grade/1+eps=-1", "coderm"]
)
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="prepare anew"):
        parse_rules(text)


def test_options_add_to_what_the_outputs_show() -> None:
    asked = Rules(is_float=True, tolerance=1e-4)
    mode = CompareMode(is_float=True, ignore_case=True, tolerance=1e-4)
    assert asked.mode(["YES", "NO"], is_call=False) == mode
    assert Rules(ignore_case=True).mode([["a"]], is_call=True) == CompareMode(ignore_case=True)
    assert Rules().mode([1, 0.5], is_call=True) == CompareMode(is_float=True)


@pytest.mark.parametrize(
    ("statement", "tolerance"),
    [
        ("correct if its absolute or relative error doesn't exceed 10^{ - 4}.", 1e-4),
        ("the absolute error from the true value is at most 10^{-3}", 1e-3),
        ("an error of less than 1e-5 is allowed", 1e-5),
        ("The error should be within 0.0001.", 1e-4),
        ("relative error of at most 10^{-6}", TOLERANCE),
        ("a precision of 10^-9", TOLERANCE),
        ("errors 10 times", TOLERANCE),
        ("an error occurs with probability 0.5 and 10 - 20 items", TOLERANCE),
        ("print 0.001 first", TOLERANCE),
        ("error\n10^-3 <= x", TOLERANCE),
    ],
)
def test_a_statement_can_allow_more(statement: str, tolerance: float) -> None:
    assert stated_tolerance(statement) == pytest.approx(tolerance, rel=1e-12)
