r"""CodeRM's comparison, for tables that set our verdicts beside its own; not for labels.

Written from a description of what its executor does to decoded outputs:

- stdout: white space around the output and around each line is dropped and case never counts;
  where the numbers of lines differ, blank lines are dropped; then every two lines must be the same
  text, or both be one number each by Python's `float` and less than 1e-4 apart;
- values: Python's `==`, or numbers less than 1e-4 apart, or lists of which every two items are
  the same in this sense. A tuple is no list, and True is 1.

So it takes 10**22 + 1 for 10**22, 0.00005 for 0, `1_000` for 1000, and refuses `1  2` for `1 2`
and a relative error of 1e-9. Left out is what belongs to its executor and not to its comparison:
the wrapping of programs, one time limit for all tests, the deadlock on long outputs. A value that
has passed through our encoding has lost the difference between a numpy array (which fails there)
and a list, and between 1 and "1" as a key.
"""

from __future__ import annotations

from typing import Any

VERSION = "coderm"

TOLERANCE = 1e-4


def compare_stdout(actual: bytes, expected: str) -> bool:
    """Whether CodeRM would take the output for the expected one."""
    output, wanted = actual.decode("utf-8", "replace").strip(), expected.strip()
    if output == wanted:
        return True
    lines, others = output.splitlines(), wanted.splitlines()
    if len(lines) != len(others):
        lines = [line for line in lines if line.strip()]
        others = [line for line in others if line.strip()]
    return len(lines) == len(others) and all(map(_same_line, lines, others))


def compare_value(actual: Any, expected: Any) -> bool:
    """Whether CodeRM would take the returned value for the expected one."""
    if actual == expected:
        return True
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        return _close(actual, expected)
    return (
        isinstance(actual, list)
        and isinstance(expected, list)
        and len(actual) == len(expected)
        and all(map(compare_value, actual, expected))
    )


def _same_line(line: str, other: str) -> bool:
    line, other = line.strip().lower(), other.strip().lower()
    if line == other:
        return True
    try:
        return _close(float(line), float(other))
    except ValueError:
        return False


def _close(actual: float, expected: float) -> bool:
    try:
        return abs(actual - expected) < TOLERANCE
    except OverflowError:
        return False
