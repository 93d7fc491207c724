"""A minute of the fuzz, and proof that it finds what it looks for: faults of graders, planted."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from codeprm.judge.compare import CompareMode, compare_stdout, compare_value
from codeprm.judge.verdict import judge
from codeprm.records import Problem, Trust, Verdict
from codeprm.sandbox import process, values
from codeprm.sandbox.runs import RunResult, RunStatus
from codeprm.sandbox.timing import Ending
from tests.fuzz import outputs, returned, verdicts
from tests.fuzz.engine import Fuzz
from tests.fuzz.targets import TARGETS

MINUTE_S = 60.0
CASES = 5000


def test_a_minute_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    fuzz = Fuzz(TARGETS, seed=int.from_bytes(os.urandom(4), "little"))
    for _ in fuzz.run(MINUTE_S):
        pass
    summary = fuzz.summary()
    with capsys.disabled():
        os.write(1, f"\n{json.dumps(summary)}\n".encode())
    assert all(tally.cases for tally in fuzz.tallies.values())
    assert not summary["failures"]


def as_floats(actual: bytes, expected: str, mode: CompareMode) -> bool:
    try:
        mine, theirs = map(float, actual.split()), map(float, expected.split())
        return list(mine) == list(theirs)
    except ValueError:
        return compare_stdout(actual, expected, mode)


def in_any_order(actual: bytes, expected: str, mode: CompareMode) -> bool:
    mine, theirs = sorted(actual.split()), sorted(expected.encode().split())
    return mine == theirs or compare_stdout(actual, expected, mode)


def without_lines(actual: bytes, expected: str, mode: CompareMode) -> bool:
    return compare_stdout(b" ".join(actual.split()), " ".join(expected.split()), mode)


def by_unicode(actual: bytes, expected: str, mode: CompareMode) -> bool:
    text = "\n".join(actual.decode("utf-8", "replace").splitlines())
    return compare_stdout(text.encode(), "\n".join(expected.splitlines()), mode)


def without_case(actual: bytes, expected: str, mode: CompareMode) -> bool:
    return compare_stdout(actual.lower(), expected.lower(), mode)


def with_more_tolerance(actual: bytes, expected: str, mode: CompareMode) -> bool:
    return compare_stdout(actual, expected, dataclasses.replace(mode, tolerance=2e-6))


def only_the_same(actual: bytes, expected: str, mode: CompareMode) -> bool:
    return actual == expected.encode()


def as_python_compares(actual: Any, expected: Any, mode: CompareMode) -> bool:
    return bool(actual == expected)


def with_float_tolerance(actual: Any, expected: Any, mode: CompareMode) -> bool:
    return compare_value(actual, expected, dataclasses.replace(mode, is_float=True))


def without_tuples(data: bytes) -> Any:
    value = _decode(data)
    return list(value) if isinstance(value, tuple) else value


def without_checks(body: dict[str, Any]) -> Ending:
    return Ending(*(body.get(name) for name in Ending._fields))  # type: ignore[arg-type]


def always_fine(*arguments: Any, **options: Any) -> RunResult:
    return dataclasses.replace(_result_of(*arguments, **options), status=RunStatus.OK)


def trusting(problem: Problem, *arguments: Any, **options: Any) -> Verdict:
    return judge(dataclasses.replace(problem, trust=Trust.BOTH), *arguments, **options)


_decode, _result_of = values.decode, process.result_of


@pytest.mark.parametrize(
    ("target", "module", "name", "fault"),
    [
        ("outputs", outputs, "compare_stdout", as_floats),
        ("outputs", outputs, "compare_stdout", in_any_order),
        ("outputs", outputs, "compare_stdout", without_lines),
        ("outputs", outputs, "compare_stdout", by_unicode),
        ("outputs", outputs, "compare_stdout", without_case),
        ("outputs", outputs, "compare_stdout", with_more_tolerance),
        ("outputs", outputs, "compare_stdout", only_the_same),
        ("values", returned, "compare_value", as_python_compares),
        ("values", returned, "compare_value", with_float_tolerance),
        ("round_trips", values, "decode", without_tuples),
        ("packets", process, "parse_ending", without_checks),
        ("results", process, "result_of", always_fine),
        ("verdicts", verdicts, "judge", trusting),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    module: ModuleType,
    name: str,
    fault: Callable[..., object],
) -> None:
    monkeypatch.setattr(module, name, fault)
    fuzz = Fuzz([t for t in TARGETS if t.name == target], seed=0)
    assert next(filter(None, fuzz.run(MINUTE_S, cases=CASES)), None)
