"""Which inputs programs are run on and what is kept of it, with programs that are functions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.judge import slots
from codeprm.judge.probes import chosen_candidates, inputs_of
from codeprm.records import (
    Case,
    Completion,
    Observation,
    Probe,
    Problem,
    Record,
    Rejected,
)
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput
from codeprm.steps import observe as observe_module
from codeprm.steps.base import Workers
from codeprm.steps.observe import ObserveConfig, observe_stage
from codeprm.steps.run import run_here
from codeprm.tables import Directory
from tests.rows import case_rows, completion_row, problem_row, write_directory

Behaviour = Callable[[int], RunResult]


def says(value: object) -> RunResult:
    return RunResult(status=RunStatus.OK, stdout=f"{value}\n".encode(), cpu_s=0.25)


def ends(status: RunStatus) -> RunResult:
    return RunResult(status=status, stderr_tail="no luck", cpu_s=0.25)


# Programs are named by what they do with the number that they read.
BEHAVIOURS: dict[str, Behaviour] = {
    "double": lambda n: says(2 * n),
    "double too": lambda n: says(f" {2 * n}.0 "),
    "mostly": lambda n: says(2 * n if n < 9 else 0),
    "square": lambda n: says(n * n),
    "crash": lambda n: ends(RunStatus.RUNTIME_ERROR),
    "does not compile": lambda n: ends(RunStatus.COMPILE_ERROR),
    "slow": lambda n: ends(RunStatus.TIME_LIMIT) if n > 3 else says(2 * n),
    "fault": lambda n: ends(RunStatus.SANDBOX_ERROR),
    "late fault": lambda n: ends(RunStatus.SANDBOX_ERROR) if n > 3 else says(2 * n),
    "picky": lambda n: says(2 * n) if n in (1, 3) else ends(RunStatus.RUNTIME_ERROR),
}


class FakeSandbox:
    """Counts what is run; `given` is all that any program was ever shown."""

    given: ClassVar[list[bytes]] = []

    def __init__(self, **_: object) -> None:
        self.level = "F2"

    def run(
        self, program: str, inputs: Iterable[StdinInput | CallInput], limits: Limits
    ) -> Generator[RunResult, None, None]:
        for test in inputs:
            assert isinstance(test, StdinInput)
            self.given.append(test.data)
            yield BEHAVIOURS[program.split("#")[0]](int(test.data))

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "Sandbox", FakeSandbox)
    monkeypatch.setattr(observe_module, "require_sound_machine", lambda floor: None)
    monkeypatch.setattr(FakeSandbox, "given", [])


def cases_of(problem: Problem, n_public: int) -> list[Case]:
    cases = case_rows(problem.problem_id, [("1", "2"), ("3", "6"), ("50", "100")])
    return [dataclasses.replace(case, public=case.index < n_public) for case in cases]


def observed(
    path: Path, programs: Sequence[str], config: ObserveConfig | None = None, *, n_public: int = 2
) -> Directory:
    problem = problem_row("double")
    rows: list[Record] = [problem, *cases_of(problem, n_public)]
    completions = [completion_row(problem, n, text) for n, text in enumerate(programs)]
    stage = observe_stage(
        config or ObserveConfig(n_generated=4),
        data=write_directory(path / "data", rows, (Problem, Case)),
        completions=write_directory(path / "completions", completions, (Completion,)),
        out=str(path / "out"),
        workers=Workers(),
    )
    run_here(stage)
    return Directory(stage.out)


def by_index(directory: Directory) -> dict[int, Observation]:
    rows = directory.read_records(Observation)
    return {int(row.completion_id.rpartition(":")[2]): row for row in rows}


def test_equal_behaviour_is_equal_outputs_and_public_tests_are_judged(tmp_path: Path) -> None:
    directory = observed(tmp_path, ["double", "double too", "square", "mostly", "crash"])
    probes = list(directory.read_records(Probe))
    assert [probe.origin for probe in probes] == ["public"] * 2 + ["generated"] * 4
    assert [probe.input for probe in probes[:2]] == ['"1"', '"3"']
    rows = by_index(directory)
    assert rows[0].outputs == rows[1].outputs
    assert rows[0].outputs[:2] == rows[3].outputs[:2]
    assert rows[2].outputs[1] != rows[0].outputs[1]
    assert rows[4].outputs == ("",) * 6
    passed = [rows[index].public_passed for index in range(5)]
    assert passed == [True, True, False, True, False]
    assert all(len(row.outputs) == len(probes) for row in rows.values())


def test_what_it_cost_is_counted(tmp_path: Path) -> None:
    rows = by_index(observed(tmp_path, ["double", "crash", "does not compile", ""]))
    assert (rows[0].executions, rows[0].cpu_s) == (6, 1.5)
    # what fails on every public test is not run on
    assert (rows[1].executions, rows[1].cpu_s) == (2, 0.5)
    assert (rows[2].executions, rows[3].executions) == (0, 0)
    assert rows[3].public_passed is False


def test_equal_programs_run_once(tmp_path: Path) -> None:
    rows = by_index(observed(tmp_path, ["double"] * 5))
    assert len(FakeSandbox.given) == 6
    assert len({row.outputs for row in rows.values()}) == 1


def test_expected_outputs_never_enter_the_sandbox(tmp_path: Path) -> None:
    observed(tmp_path, ["double", "square"], ObserveConfig(n_generated=0))
    assert sorted(set(FakeSandbox.given)) == [b"1\n", b"3\n"]


def test_inputs_that_fail_those_who_understood_are_no_probes(tmp_path: Path) -> None:
    programs = [f"picky#{n}" for n in range(3)] + [f"crash#{n}" for n in range(9)]
    directory = observed(tmp_path, programs)
    assert {probe.origin for probe in directory.read_records(Probe)} == {"public"}
    dropped = [row for row in directory.read_records(Rejected) if row.reason == "useless_probe"]
    assert len(dropped) > 4
    assert directory.manifest is not None
    assert directory.manifest["counts"] == {"rejected:useless_probe": len(dropped)}


def test_faults_of_ours_are_no_observations(tmp_path: Path) -> None:
    directory = observed(tmp_path, ["double", "fault", "late fault"])
    assert set(by_index(directory)) == {0}
    reasons = {row.row_id[-1]: row.reason for row in directory.read_records(Rejected)}
    assert reasons == {"1": "sandbox_error", "2": "sandbox_error"}


def test_a_program_that_runs_into_limits_is_given_up(tmp_path: Path) -> None:
    programs = [f"double#{n}" for n in range(8)] + ["slow"]
    directory = observed(tmp_path, programs, ObserveConfig(n_generated=12))
    row = by_index(directory)[8]
    assert row.public_passed is True
    n_known = sum(output != "" for output in row.outputs)
    assert row.executions == n_known + 2 < len(row.outputs)


def test_slow_candidates_do_not_stop_the_pilots(tmp_path: Path) -> None:
    directory = observed(tmp_path, [f"slow#{n}" for n in range(8)], ObserveConfig(n_generated=12))
    probes = [json.loads(probe.input) for probe in directory.read_records(Probe)]
    assert all(int(text) <= 3 for text in probes)
    # two pilots find out what is too slow, the others are spared
    n_slow = sum(int(data) > 3 for data in FakeSandbox.given)
    assert n_slow == 2 * len({data for data in FakeSandbox.given if int(data) > 3})


def test_without_public_tests_nothing_is_said_of_them(tmp_path: Path) -> None:
    directory = observed(tmp_path / "none", ["double"], n_public=0)
    assert by_index(directory)[0].public_passed is None
    assert {probe.origin for probe in directory.read_records(Probe)} == {"generated"}
    config = ObserveConfig(n_generated=2, n_examples=1)
    directory = observed(tmp_path / "one", ["double", "square"], config, n_public=0)
    assert [row.public_passed for row in by_index(directory).values()] == [True, False]


def test_completions_without_tests_are_rejected(tmp_path: Path) -> None:
    known, bare, foreign = problem_row("known"), problem_row("bare"), problem_row("foreign")
    data: list[Record] = [known, bare, *cases_of(known, 1)]
    completions = [completion_row(owner, 0, "double") for owner in (known, bare, foreign)]
    stage = observe_stage(
        ObserveConfig(n_generated=1),
        data=write_directory(tmp_path / "d", data, (Problem, Case)),
        completions=write_directory(tmp_path / "c", completions, (Completion,), buckets=3),
        out=str(tmp_path / "out"),
        workers=Workers(),
    )
    run_here(stage)
    out = Directory(stage.out)
    assert [row.problem_id for row in out.read_records(Observation)] == [known.problem_id]
    reasons = {row.problem_id: row.reason for row in out.read_records(Rejected)}
    assert reasons == {bare.problem_id: "no_cases", foreign.problem_id: "no_problem"}


def test_an_unfinished_input_is_refused(tmp_path: Path) -> None:
    problem = problem_row("a")
    data = write_directory(tmp_path / "d", [problem], (Problem, Case))
    rows = [completion_row(problem, 0)]
    part = write_directory(tmp_path / "c", rows, (Completion,), complete=False)
    with pytest.raises(DataError, match="no manifest"):
        observe_stage(
            ObserveConfig(), data=data, completions=part, out=str(tmp_path / "o"), workers=Workers()
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_generated": -1},
        {"n_generated": 0, "max_public": 0},
        {"n_pilots": 0},
        {"max_time_s": 0.0},
        {"min_good_share": 2.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ObserveConfig(**wrong)  # type: ignore[arg-type]


def test_inputs_are_drawn_by_problem_and_seed() -> None:
    problem = problem_row("a")
    cases = case_rows(problem.problem_id, [("70 5 31", "1"), ("2", "4")])
    cases = [dataclasses.replace(case, public=True) for case in cases]

    def drawn(owner: Problem, seed: int) -> tuple[str, ...]:
        inputs = inputs_of(owner, cases, n_generated=5, max_public=1, n_examples=0, seed=seed)
        assert [case.index for case in inputs.public] == [0]
        return inputs.candidates

    assert drawn(problem, 0) == drawn(problem, 0)
    assert len(drawn(problem, 0)) == 10
    assert drawn(problem, 0) != drawn(problem, 1)
    assert drawn(problem, 0) != drawn(problem_row("b"), 0)


def test_candidates_are_judged_by_those_who_ran_them() -> None:
    pilots = [{0: "x", 1: "", 2: ""}, {0: "", 1: "", 2: "y"}, {0: "z", 2: ""}]
    assert chosen_candidates(pilots, 4, wanted=9, min_share=0.5) == [0]
    assert chosen_candidates(pilots, 4, wanted=9, min_share=0.3) == [0, 2]
    assert chosen_candidates(pilots, 4, wanted=1, min_share=0.3) == [0]
    assert chosen_candidates([], 4, wanted=9, min_share=0.0) == []
