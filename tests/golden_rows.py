"""Outputs on which the field's graders disagree: what was written, what is stored, who takes it.

The mode of a row is that of a problem with this one expected output.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """`ours` is grade/1, `coderm` CodeRM's comparison."""

    actual: str
    expected: str
    ours: bool
    coderm: bool


ROWS = (
    Row("10 \n20", "10\n20", ours=True, coderm=True),
    Row("1  2", "1 2", ours=True, coderm=False),
    Row("1\n\n2", "1\n2", ours=True, coderm=True),
    Row("yes", "YES", ours=True, coderm=True),
    Row("abc", "ABC", ours=False, coderm=True),
    Row("0.333330", "0.333333", ours=False, coderm=True),
    Row("0.3333331", "0.333333", ours=True, coderm=True),
    Row("0.50000001 0.25", "0.5 0.25", ours=True, coderm=False),
    Row("2.50", "2.5", ours=True, coderm=True),
    Row("3.0", "3", ours=True, coderm=True),
    Row("1000000000.5", "1000000000.6", ours=True, coderm=False),
    Row("9007199254740993", "9007199254740992", ours=False, coderm=True),
    Row("10000000000000000000001", "10000000000000000000000", ours=False, coderm=True),
    Row("3 2 1", "1 2 3", ours=False, coderm=False),
    Row("3\n2\n1", "1\n2\n3", ours=False, coderm=False),
    Row("1\n1\n2", "1\n2", ours=False, coderm=False),
    Row("21", "1 2", ours=False, coderm=False),
    Row("12", "1\n2", ours=False, coderm=False),
    Row("b a", "a b", ours=False, coderm=False),
    Row("20 10", "10 20", ours=False, coderm=False),
    Row("1 2", "1\n2", ours=False, coderm=False),
    Row("inf", "Infinity", ours=True, coderm=False),
    Row("1_000", "1000", ours=False, coderm=True),
    Row("\uff11", "1", ours=False, coderm=True),
    Row("007", "7", ours=False, coderm=True),
    Row("+5", "5", ours=False, coderm=True),
    Row("1e3", "1000", ours=False, coderm=True),
    Row("-0", "0", ours=True, coderm=True),
    Row("0.00005", "0", ours=False, coderm=True),
    Row("12345.6", "12345.7", ours=False, coderm=False),
    Row("5\0", "5", ours=False, coderm=False),
    Row("True", "1", ours=False, coderm=False),
    Row("NO", "YES", ours=False, coderm=False),
    Row("Alice 1", "Bob 1", ours=False, coderm=False),
)
