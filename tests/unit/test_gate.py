"""The label gate's decisions, from made-up trials."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codeprm.errors import ConfigError
from codeprm.judge.gate import (
    GateConfig,
    Quarantined,
    Reason,
    Trial,
    conclude,
    quarantined,
    references,
)
from codeprm.judge.trivial import CONSTANT, ECHO, NAMES, NOTHING, trivial_results
from codeprm.judge.verdict import Failure, Judged, judge
from codeprm.records import Case, Label, Outcome, Problem, Trust
from tests.rows import case_rows, problem_row, solution_row

PROBLEM = problem_row("a")
WRONG, CRASH, SLOW, OURS = (
    Outcome.WRONG_ANSWER,
    Outcome.RUNTIME_ERROR,
    Outcome.TIME_LIMIT,
    Outcome.SANDBOX_ERROR,
)


def some_cases(*expected: Any, given: Any = "1") -> list[Case]:
    return case_rows(PROBLEM.problem_id, [(given, value) for value in expected])


FIVE = some_cases(*"abcde")


def trial(name: str, *ends: Outcome | str | None) -> Trial:
    """A test's end: None is a pass, a text another output, an outcome itself."""
    return Trial(solution_row(PROBLEM, name), tuple(Judged(_failure(end), 0, 0) for end in ends))


def _failure(end: Outcome | str | None) -> Failure | None:
    if end is None:
        return None
    if isinstance(end, Outcome):
        return Failure(end, end.value)
    return Failure(WRONG, f"expected 'x', not {end!r}", repr(end), end)


def dropped(*trials: Trial, config: GateConfig | None = None) -> list[Quarantined]:
    config = config or GateConfig()
    return quarantined(references(trials, FIVE, config), FIVE, config)


def test_solutions_that_pass_half_of_the_tests_are_references() -> None:
    good = trial("good", None, None, None, None, None)
    half = trial("half", None, None, None, "x", "x")
    bad = trial("bad", None, None, "x", "x", "x")
    given_up = trial("slow", None, SLOW, SLOW, SLOW)
    chosen = references([good, half, bad, given_up], FIVE, GateConfig())
    assert chosen == [good, half]
    assert references([bad], FIVE, GateConfig(min_reference_share=0.0)) == [bad]
    assert references([trial("none", *"xxxxx")], FIVE, GateConfig(min_reference_share=0.0)) == []


def test_a_test_that_references_contradict_is_dropped_with_what_they_wrote() -> None:
    agreeing = [trial(name, None, "z", None, None, None) for name in "pqr"]
    (test,) = dropped(*agreeing)
    assert test.case.index == 1
    assert test.detail == (
        "3 of 3 known-good solutions agree on another output: expected 'x', not 'z'"
    )


def test_references_that_contradict_each_other_show_several_answers() -> None:
    trials = [trial(name, None, name, None, None, None) for name in ("p", "q", "q", "s")]
    (test,) = dropped(*trials)
    assert "4 of 4 known-good solutions wrote 3 other outputs, among them 'q' (2)" in test.detail


def test_a_minority_does_not_outvote_a_test() -> None:
    right = [trial(f"r{n}", None, None, None, None, None) for n in range(3)]
    wrong = [trial(f"w{n}", None, "z", None, None, None) for n in range(2)]
    assert dropped(*right, *wrong) == []
    assert [test.case.index for test in dropped(*right[:2], *wrong)] == [1]


def test_one_dissenter_alone_may_simply_be_wrong() -> None:
    alone = trial("w", None, "z", None, None, None)
    assert dropped(alone) == []
    assert dropped(alone, config=GateConfig(min_dissenters=1))


@pytest.mark.parametrize("end", [CRASH, SLOW, OURS, Outcome.FLAKY, Outcome.MEMORY_LIMIT])
def test_only_what_was_written_speaks_against_a_test(end: Outcome) -> None:
    silent = [trial(f"s{n}", None, end, None, None, None) for n in range(4)]
    assert dropped(*silent) == []
    # two that crash do not make the two others a minority
    loud = [trial(f"l{n}", None, "z", None, None, None) for n in range(2)]
    assert [test.case.index for test in dropped(*silent, *loud)] == [1]


def conclusion(
    cases: list[Case],
    *,
    problem: Problem = PROBLEM,
    n_quarantined: int = 0,
    trivial: tuple[str, ...] = (),
    doubt: Reason | None = None,
    config: GateConfig | None = None,
) -> tuple[Trust, tuple[Reason, ...]]:
    findings = conclude(
        problem,
        cases,
        n_quarantined=n_quarantined,
        trivial_passed=trivial,
        doubt=doubt,
        config=config or GateConfig(),
    )
    assert bool(findings.detail) == bool(findings.reasons)
    return findings.trust, findings.reasons


def test_sound_tests_are_trusted_both_ways() -> None:
    assert conclusion(FIVE) == (Trust.BOTH, ())
    assert conclusion(FIVE[:4], n_quarantined=1) == (Trust.BOTH, ())


def test_fails_are_no_labels_where_right_answers_may_differ() -> None:
    many = (Reason.MANY_QUARANTINED,)
    assert conclusion(FIVE[:3], n_quarantined=2) == (Trust.PASSES, many)
    listed = dataclasses.replace(PROBLEM, trust=Trust.PASSES)
    assert conclusion(FIVE, problem=listed) == (Trust.PASSES, (Reason.MANY_ANSWERS,))


def test_passes_are_no_labels_where_trivial_programs_pass() -> None:
    weak = (Reason.WEAK_TESTS,)
    assert conclusion(FIVE, trivial=(ECHO,)) == (Trust.FAILS, weak)
    assert conclusion(FIVE, trivial=(CONSTANT,)) == (Trust.FAILS, weak)
    flag = GateConfig(weak_tests="flag")
    assert conclusion(FIVE, trivial=(ECHO,), config=flag) == (Trust.BOTH, weak)


def test_a_single_test_has_a_reason_of_its_own() -> None:
    few = (Reason.FEW_TESTS,)
    assert conclusion(FIVE[:1], trivial=(CONSTANT,)) == (Trust.FAILS, few)
    assert conclusion(FIVE[:1], trivial=(CONSTANT,), config=GateConfig(min_cases=1)) == (
        Trust.BOTH,
        (),
    )
    assert conclusion(FIVE[:1], trivial=(NOTHING, CONSTANT), config=GateConfig(min_cases=1)) == (
        Trust.FAILS,
        (Reason.WEAK_TESTS,),
    )


def test_both_can_be_lost() -> None:
    trust, reasons = conclusion(FIVE[:1], n_quarantined=4)
    assert (trust, reasons) == (Trust.NONE, (Reason.MANY_QUARANTINED, Reason.FEW_TESTS))


@pytest.mark.parametrize("doubt", [Reason.NO_SOLUTIONS, Reason.NOT_CHECKED])
def test_what_could_not_be_checked_is_believed_unless_told_otherwise(doubt: Reason) -> None:
    assert conclusion(FIVE, doubt=doubt) == (Trust.BOTH, (doubt,))
    strict = GateConfig(require_references=True)
    assert conclusion(FIVE, doubt=doubt, config=strict) == (Trust.NONE, (doubt,))


@pytest.mark.parametrize("doubt", [Reason.NO_SOLUTION_PASSED, Reason.NO_TEST_LEFT])
def test_what_is_refuted_is_never_believed(doubt: Reason) -> None:
    assert doubt.drops_problem
    assert conclusion(FIVE, doubt=doubt)[0] is Trust.NONE


@pytest.mark.parametrize("values", [{"min_reference_share": 1.5}, {"min_cases": 0}])
def test_senseless_policies_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        GateConfig(**values)


@pytest.mark.parametrize(
    ("entry_point", "given", "expected", "passing"),
    [
        (None, "1", ["a", "b"], set()),
        (None, "1", ["", ""], {NOTHING, CONSTANT}),
        (None, "1 2\n", ["1  2", "1 2"], {ECHO, CONSTANT}),
        (None, "1", ["a"], {CONSTANT}),
        ("f", [[1], 2], [[1], [1]], {ECHO, CONSTANT}),
        ("f", [3], [None, None], {NOTHING, CONSTANT}),
        ("f", [3], [3, None], set()),
        ("f", [], [None, 3], set()),
    ],
)
def test_trivial_programs(
    entry_point: str | None, given: Any, expected: list[Any], passing: set[str]
) -> None:
    problem = dataclasses.replace(PROBLEM, entry_point=entry_point)
    cases = some_cases(*expected, given=given)
    passed = {
        name
        for name in NAMES
        if judge(problem, cases, trivial_results(name, problem, cases)).label is Label.PASS
    }
    assert passed == passing


def test_trust_only_shrinks() -> None:
    assert Trust.PASSES & Trust.FAILS is Trust.NONE
    assert Trust.BOTH & Trust.PASSES is Trust.PASSES
    assert {Trust.of(passes=t.in_passes, fails=t.in_fails) for t in Trust} == set(Trust)
