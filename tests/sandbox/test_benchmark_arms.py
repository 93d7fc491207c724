"""Both arms of the benchmarks on real processes, with programs whose fate is known."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks import reference, sandbox
from benchmarks.labels import self_checking
from benchmarks.programs import Program, mini_programs
from benchmarks.slots import Slots, grade_program, level, trivial_tests
from codeprm.records import Outcome
from tests.rows import case_row, problem_row

RIGHT = "print(int(input()) + 1)"


def one(source: str) -> Program:
    problem = problem_row("add")
    return Program(
        problem=problem,
        cases=(case_row(problem, 0), case_row(problem, 1)),
        source=source,
        is_right=True,
    )


@pytest.mark.parametrize(
    ("source", "finished", "passed"),
    [
        (RIGHT, True, True),
        ("import sys\nprint(int(sys.stdin.buffer.read()) + 1)", True, True),
        ("print(0)", True, False),
        ("raise ValueError", True, False),
        ("while True: pass", False, False),
    ],
)
def test_reference_path(source: str, finished: bool, passed: bool) -> None:
    run = reference.run(one(source), 1.0)
    assert (run.finished, run.passed) == (finished, passed)


def test_arms_agree_on_mini_taco() -> None:
    programs = mini_programs(12, seed=0)
    assert {program.problem.entry_point is None for program in programs} == {True, False}
    runs = reference.run_all(programs, slots=2, unstated_limit_s=10)
    with Slots(2, programs) as slots:
        graded = slots.map(grade_program, [(index,) for index in range(len(programs))])
    assert [run.passed for run in runs] == [one.outcome is Outcome.PASSED for one in graded]
    assert [run.passed for run in runs if run.passed] != []
    assert all(run.passed for run, program in zip(runs, programs, strict=True) if program.is_right)


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    programs = [self_checking("right", "assert 1 + 1 == 2\n"), self_checking("wrong", "assert 0\n")]
    with Slots(1, programs) as slots:
        yield slots


def test_self_checking_programs(slots: Slots) -> None:
    first, second = slots.map(grade_program, [(0,), (1,)])
    assert (first.outcome, second.outcome) == (Outcome.PASSED, Outcome.RUNTIME_ERROR)


def test_trivial_tests_are_counted_with_and_without_layers(slots: Slots) -> None:
    assert slots.each(level)[0].startswith("F")
    for without in ((), ("seccomp",)):
        assert slots.each(trivial_tests, 0.1, without)[0] > 10


def test_result_has_the_promised_figures(capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.main(sandbox.Args(programs=4, rounds=1, trivial_s=0.05))
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {
        "tests_per_s_per_core", "programs_per_s", "reference_programs_per_s", "ratio",
        "ratio_spread", "all_programs_per_s", "reference_all_programs_per_s",
        "scaling_1_to_2_slots", "memory_mb_per_slot", "level", "start_s", "layer_costs",
        "n_programs", "n_tests", "host", "bars",
    } <= result.keys()  # fmt: skip
    assert result["n_programs"] == 4
    assert set(result["layer_costs"]) > {"seccomp", "landlock", "namespaces", "uid"}
