"""What programs print against what is expected: the judge's word against the oracle's."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from codeprm.judge.compare import CompareMode, compare_stdout, stdout_mode
from tests.fuzz import words
from tests.fuzz.engine import Broken, WrongAcceptance
from tests.fuzz.oracle import Mode, Same, mode_of, same_output

MODES = tuple(
    CompareMode(is_float=is_float, ignore_case=ignore_case, tolerance=tolerance)
    for is_float in (False, True)
    for ignore_case in (False, True)
    for tolerance in (1e-6, 1e-4)
)
LARGE = 100


def case(rng: Random) -> None:
    rows = words.table(rng)
    if rng.random() < 0.002:
        rows = [row * rng.randrange(1, LARGE) for row in rows] * rng.randrange(1, LARGE)
    expected = words.written(rng, rows)
    own = problem_mode(
        [expected, *(words.printed(words.table(rng)) for _ in range(rng.choice((0, 0, 2))))]
    )
    mode = rng.choice((own, own, *MODES))
    check(words.printed(rows).encode(), expected, mode)
    actual = actual_output(rng, rows)
    check(actual, expected, mode)
    check_symmetry(actual, expected, mode)
    check_digit(rng, rows, mode)


def actual_output(rng: Random, rows: list[list[str]]) -> bytes:
    rows = words.table(rng) if rng.random() < 0.02 else words.changed(rng, rows)
    actual = words.written(rng, rows).encode()
    if actual and rng.random() < 0.05:
        at = rng.randrange(len(actual))
        actual = actual[:at] + rng.randbytes(rng.choice((1, 1, 2, 4))) + actual[at + 1 :]
    return actual


def problem_mode(outputs: list[str]) -> CompareMode:
    """The judge's, if the oracle finds the same."""
    mode = stdout_mode(outputs)
    if oracle_mode(mode) != mode_of(outputs):
        raise Broken(f"mode {mode}, not {mode_of(outputs)}, of {outputs!r}")
    return mode


def oracle_mode(mode: CompareMode) -> Mode:
    return Mode(mode.is_float, mode.ignore_case, Fraction(str(mode.tolerance)))


def check(actual: bytes, expected: str, mode: CompareMode) -> None:
    answer = same_output(actual, expected, oracle_mode(mode))
    accepted = compare_stdout(actual, expected, mode)
    if accepted and answer is Same.NO:
        raise WrongAcceptance(f"{actual!r} for {expected!r} in {mode}")
    if not accepted and answer is Same.YES:
        raise Broken(f"refused {actual!r} for {expected!r} in {mode}")
    if not compare_stdout(expected.encode(), expected, mode):
        raise Broken(f"{expected!r} is not equal to itself in {mode}")


def check_symmetry(actual: bytes, expected: str, mode: CompareMode) -> None:
    """Only a tolerance looks at one side more than at the other."""
    if mode.is_float:
        return
    try:
        text = actual.decode()
    except UnicodeDecodeError:
        return
    if compare_stdout(actual, expected, mode) != compare_stdout(expected.encode(), text, mode):
        raise Broken(f"{actual!r} and {expected!r} are equal one way only in {mode}")


def check_digit(rng: Random, rows: list[list[str]], mode: CompareMode) -> None:
    """Integers are exact: one digit changed is another answer, in whatever token it stands."""
    text = words.printed(rows)
    other = words.other_digit(rng, text)
    if not mode.is_float and other != text and compare_stdout(other.encode(), text, mode):
        raise WrongAcceptance(f"one digit away: {other!r} for {text!r} in {mode}")
