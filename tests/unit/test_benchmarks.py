"""What the benchmarks decide and sum up; what they time is in tests/sandbox."""

from __future__ import annotations

import ast
import dataclasses
import gzip
import importlib
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import tyro

from benchmarks import arms, execute, gate, host, labels, programs, reference, sandbox, stability
from benchmarks.execute import Span
from benchmarks.programs import Program
from benchmarks.slots import Graded
from codeprm.records import Case, Completion, Outcome, Problem, Rejected, Trust, Verdict
from codeprm.tables import Directory
from tests.rows import case_row, problem_row, write_directory

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"python benchmarks/(\w+)\.py([^\n`]*)")
SCRIPTS = (
    "sandbox", "stability", "labels", "execute", "evaluation", "coverage", "train_orm", "train_sft",
    "train_gpu", "real_orm",
)  # fmt: skip


# -- commands -----------------------------------------------------------------------------------


def documented() -> list[tuple[str, str]]:
    texts = [(ROOT / "benchmarks/README.md").read_text(), (ROOT / "docs/benchmarks.md").read_text()]
    texts += [ast.get_docstring(ast.parse(Path(str(module(name).__file__)).read_text())) or ""
              for name in SCRIPTS]  # fmt: skip
    return [match for text in texts for match in COMMAND.findall(text)]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


@pytest.mark.parametrize(("script", "flags"), documented())
def test_documented_command_parses(script: str, flags: str) -> None:
    arguments = shlex.split(flags.partition("  ")[0])
    assert tyro.cli(module(script).Args, args=arguments, config=(tyro.conf.OmitArgPrefixes,))


def test_every_script_is_documented() -> None:
    assert {script for script, _ in documented()} == set(SCRIPTS)


# -- programs -----------------------------------------------------------------------------------


def test_mini_programs_are_all_different_and_the_asked_share_is_right() -> None:
    found = programs.mini_programs(200, seed=1, right_share=0.25)
    assert len({program.source for program in found}) == 200
    assert 25 <= sum(program.is_right for program in found) <= 75
    assert found == programs.mini_programs(200, seed=1, right_share=0.25)


def test_wrong_mini_programs_solve_another_problem_of_the_same_form() -> None:
    for program in programs.mini_programs(60, seed=0, right_share=0.0):
        assert ("def solve(" in program.source) == (program.problem.entry_point is not None)


def test_attempts_that_are_one_program_are_joined(tmp_path: Path) -> None:
    raw = raw_problem("add")
    write_lines(tmp_path / programs.PROBLEMS, [raw])
    rows = [attempt("print(1)", passing=False, output="errored with 'Timeout'"),
            attempt("print(2)", passing=False),
            attempt("print(1)", passing=True),
            attempt("print(1)", problem="unknown", passing=True)]  # fmt: skip
    write_lines(tmp_path / programs.ATTEMPTS, rows)
    one, two = programs.attempts(str(tmp_path))
    assert (one.source, one.is_right, one.message, one.attempts) == ("print(1)", True, "", 2)
    assert (two.source, two.is_right, two.attempts) == ("print(2)", False, 1)
    assert [len(program.cases) for program in (one, two)] == [2, 2]


def raw_problem(name: str) -> dict[str, object]:
    tests = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
    return {"question": f"Solve {name}.", "solutions": "[]", "input_output": json.dumps(tests),
            "name": name, "time_limit": "1.5 seconds"}  # fmt: skip


def attempt(code: str, *, problem: str = "add", **columns: object) -> dict[str, object]:
    return {"problem": problem, "code": code, "passing": False, "output": "", **columns}


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


# -- the reference path -------------------------------------------------------------------------


@pytest.mark.parametrize(("stated", "limit"), [(1.0, 4.0), (1.5, 4.0), (3.0, 8.0), (None, 10.0)])
def test_time_limit_of_the_reference(stated: float | None, limit: float) -> None:
    assert reference.timeout_s(program(stated_limit_s=stated), 10.0) == limit


def program(
    name: str = "add",
    *,
    stated_limit_s: float | None = None,
    attempts: int = 1,
    message: str = "",
    is_right: bool = True,
) -> Program:
    problem = problem_row(name)
    return Program(
        problem=problem,
        cases=(case_row(problem),),
        source="print(int(input()) + 1)",
        is_right=is_right,
        message=message,
        attempts=attempts,
        stated_limit_s=stated_limit_s,
    )


# -- figures ------------------------------------------------------------------------------------


def test_spread_keeps_the_rounds() -> None:
    assert host.spread([3.0, 1.0, 2.00004]) == {
        "median": 2.0, "min": 1.0, "max": 3.0, "rounds": [3.0, 1.0, 2.0],
    }  # fmt: skip


def test_rates_of_equal_work_are_averaged_by_time() -> None:
    turns = arms.Rounds(ours=[60.0, 120.0], reference=[8.0, 8.0], one_slot=[40.0, 40.0])
    figures = arms.program_figures(turns)
    assert figures["programs_per_s"] == 80.0
    assert figures["ratio"] == 10.0
    assert figures["ratio_spread"]["rounds"] == [7.5, 15.0]
    assert figures["programs_scaling_1_to_2_slots"] == 2.0


def test_quantiles_are_values_that_occurred() -> None:
    assert arms.quantiles([float(value) for value in range(1, 102)]) == {
        "mean": 51.0, "p50": 51.0, "p90": 91.0, "p99": 100.0,
    }  # fmt: skip


def test_order_of_the_arms_turns_with_each_round() -> None:
    assert [host.in_turn(["a", "b", "c"], number) for number in range(3)] == [
        ["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"],
    ]  # fmt: skip


def test_cost_of_a_layer_is_time_a_test() -> None:
    assert sandbox.layer_cost(400.0, 500.0) == {
        "without_tests_per_s_per_core": 500.0, "cost_ms": 0.5, "cost_share": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "ratio", "tests", "met"),
    [
        ("lcb", 12.0, 350.0, {"ratio": True, "tests_per_s_per_core": True}),
        ("lcb", 11.9, 349.0, {"ratio": False, "tests_per_s_per_core": False}),
        ("minitaco", 5.0, 400.0, {"ratio": None, "tests_per_s_per_core": True}),
    ],
)
def test_bars_of_the_sandbox(
    data: str, ratio: float, tests: float, met: dict[str, bool | None]
) -> None:
    assert sandbox.bars({"data": data, "ratio": ratio, "tests_per_s_per_core": tests}) == met


# -- stability ----------------------------------------------------------------------------------


def graded(outcome: Outcome) -> Graded:
    return Graded(outcome, "", 1, 0.1)


@pytest.mark.parametrize(
    ("alone", "loaded", "kind"),
    [
        (Outcome.PASSED, Outcome.FLAKY, "unknown"),
        (Outcome.SANDBOX_ERROR, Outcome.WRONG_ANSWER, "unknown"),
        (Outcome.PASSED, Outcome.TIME_LIMIT, "flipped"),
        (Outcome.WRONG_ANSWER, Outcome.PASSED, "flipped"),
        (Outcome.WRONG_ANSWER, Outcome.TIME_LIMIT, "changed"),
    ],
)
def test_kind_of_a_difference(alone: Outcome, loaded: Outcome, kind: str) -> None:
    figures = stability.figures(
        [program()] * 2, [graded(alone)] * 2, [graded(loaded), graded(alone)]
    )
    assert figures["equal_share"] == 0.5
    assert {name: figures[name] for name in ("unknown", "flipped", "changed")} == {
        name: int(name == kind) for name in ("unknown", "flipped", "changed")
    }
    assert figures["differences"][0]["kind"] == kind


@pytest.mark.parametrize(
    ("share", "flipped", "changed", "met"),
    [(0.999, 0, 0, True), (0.998, 0, 0, False), (0.999, 1, 0, False), (0.999, 0, 1, False)],
)
def test_bar_of_stability(share: float, flipped: int, changed: int, met: bool) -> None:
    load = {"equal_share": share, "flipped": flipped, "changed": changed}
    assert stability.is_met(load) is met


# -- labels -------------------------------------------------------------------------------------


def test_exceptions_are_what_the_gate_does_not_explain() -> None:
    kept = gate.Gated("tests quarantined", problem_row("kept"), ())
    found = {"dropped": gate.Gated("dropped", None, ()), "kept": kept}
    names = ["fine", "broken", "dropped", "kept", "kept", "kept"]
    wrong, passed = graded(Outcome.WRONG_ANSWER), graded(Outcome.PASSED)
    again = [None, None, None, passed, wrong, graded(Outcome.QUARANTINED)]
    figures = labels.passing_figures(
        [program(name, attempts=2) for name in names], [passed, *[wrong] * 5], found, again
    )
    assert figures["outcomes"] == {"passed": 1, "wrong_answer": 5}
    assert figures["attempts_by_outcome"] == {"passed": 2, "wrong_answer": 10}
    assert figures["explained_by_gate"] == {"dropped": 1, "kept": 2}
    assert figures["exceptions_by_problem"] == {"broken": 1, "kept": 1}
    assert labels.bars({"humaneval": {"exceptions": 0}, "passing": figures}) == {
        "humaneval": True, "passing": False,
    }  # fmt: skip


def test_timeouts_of_the_data_that_pass_are_counted() -> None:
    late = [program("a", attempts=3), program("b"), program("a")]
    verdicts = [graded(Outcome.PASSED), graded(Outcome.TIME_LIMIT), graded(Outcome.PASSED)]
    figures = labels.timeout_figures(late, verdicts)
    assert [figures[f"passed_{what}"] for what in ("programs", "attempts", "problems")] == [2, 4, 1]


@pytest.mark.parametrize(
    ("is_right", "message", "is_late"),
    [(False, "errored with 'Timeout'\n", True), (True, "errored with 'Timeout'", False),
     (False, "[0] expected", False)],
)  # fmt: skip
def test_which_programs_timed_out(is_right: bool, message: str, is_late: bool) -> None:
    assert labels.is_timeout(program(is_right=is_right, message=message)) is is_late


def test_less_time_is_never_more_than_the_problem_gives() -> None:
    assert labels.limited(program(), 1.5).problem.time_limit_s == 1.5
    assert labels.limited(program(), 99.0).problem.time_limit_s == 2.0


def test_gate_is_read_from_what_verify_left(tmp_path: Path) -> None:
    same, gone, thinned, doubted, weak = (problem_row(name) for name in "abcde")
    cases = [case_row(problem, index) for problem in (same, gone, thinned, doubted, weak)
             for index in (0, 1)]  # fmt: skip
    before = write_directory(
        tmp_path / "before", [same, gone, thinned, doubted, weak, *cases], (Problem, Case)
    )
    word = Rejected(row_id="x", problem_id=gone.problem_id, reason="no_solution_passed",
                    detail="none", excerpt="")  # fmt: skip
    left = [case for case in cases if case.problem_id != gone.problem_id
            and (case.problem_id, case.index) != (thinned.problem_id, 1)]  # fmt: skip
    doubted = dataclasses.replace(doubted, trust=Trust.PASSES)
    weak = dataclasses.replace(weak, trust=Trust.FAILS)
    after = write_directory(
        tmp_path / "after", [same, thinned, doubted, weak, *left, word], (Problem, Case)
    )
    found = gate.differences(Directory(before), Directory(after))
    assert {name: one.reason for name, one in found.items()} == {
        "b": "dropped; no_solution_passed: none",
        "c": "1 of 2 tests quarantined",
        "d": "trust: passes",
    }
    assert found["b"].problem is None
    assert [case.index for case in found["c"].cases] == [0]


# -- the execute job ----------------------------------------------------------------------------


def test_steady_state_is_when_all_workers_work() -> None:
    spans = [Span(0, 4, 40), Span(2, 6, 40), Span(4, 8, 40), Span(6, 7, 10)]
    start, end = execute.steady(spans, 2)
    assert (start, end) == (2, 7)
    assert execute.rows_between(spans, start, end) == 20 + 40 + 30 + 10


def test_a_pause_between_parts_counts_as_steady() -> None:
    spans = [Span(0, 2, 20), Span(0, 2, 20), Span(3, 5, 20), Span(3, 5, 20)]
    start, end = execute.steady(spans, 2)
    assert execute.rows_between(spans, start, end) / (end - start) == 16


def test_halves_are_apart_and_spread_over_all() -> None:
    before, after = execute.halves(20000, 5000)
    assert (len(before), len(after)) == (2500, 2500)
    assert not set(before) & set(after)
    assert execute.halves(10, 99) == (range(0, 10, 2), range(1, 10, 2))


def test_missing_and_changed_verdicts_are_different() -> None:
    bare = {"0": "passed", "1": "passed", "2": "wrong_answer"}
    assert execute.n_different({"0": "passed", "1": "time_limit", "7": "passed"}, bare) == 2


def test_inputs_of_the_job_hold_every_program_under_its_problem(tmp_path: Path) -> None:
    given = programs.mini_programs(30, seed=0)
    data, completions = execute.write_inputs(given, str(tmp_path), parts=4)
    rows = list(Directory(completions).read_records(Completion))
    assert sorted(row.program for row in rows) == sorted(program.source for program in given)
    by_number = {row.completion_id.rpartition(":")[2]: row.problem_id for row in rows}
    assert by_number == {str(i): program.problem.problem_id for i, program in enumerate(given)}
    known = {problem.problem_id for problem in Directory(data).read_records(Problem)}
    assert known == {program.problem.problem_id for program in given}


def test_spans_come_from_commits_of_verdicts(tmp_path: Path) -> None:
    path = write_directory(tmp_path / "out", [], (Verdict,))
    assert list(execute.spans(Directory(path))) == []
