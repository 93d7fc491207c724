"""The label gate over real executions: what it drops, doubts, keeps, and what it never does."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from codeprm.evaluation.label_trust import trust_summary, trust_text
from codeprm.judge.gate import GateConfig
from codeprm.records import (
    Audit,
    Case,
    Problem,
    Record,
    Rejected,
    Solution,
    Trust,
    Verdict,
)
from codeprm.steps.base import Workers
from codeprm.steps.run import run_here
from codeprm.steps.verify import VerifyConfig, verify_stage
from codeprm.tables import Directory
from tests.rows import case_rows, problem_row, solution_row, write_directory

DOUBLE = "n = int(input())\nprint(2 * n)"
TWICE = "n = int(input())\nprint(n + n)"
SHIFT = "n = int(input())\nprint(n << 1)"
SQUARE = "n = int(input())\nprint(n * n)"
CRASH = "n = int(input())\nprint(2 * n)\nassert n < 3"
FIVE = (("1", "2"), ("2", "4"), ("3", "6"), ("4", "8"), ("5", "10"))


class Verified(NamedTuple):
    problems: dict[str, Problem]
    audits: dict[str, Audit]
    cases: list[Case]
    solutions: list[Solution]
    verdicts: list[Verdict]
    rejected: Counter[str]
    details: dict[str, str]
    text: str


class Draft:
    """Problems with their tests and solutions, to be verified together."""

    def __init__(self) -> None:
        self.rows: list[Record] = []

    def add(
        self,
        name: str,
        tests: tuple[tuple[str, str], ...],
        *programs: str,
        trust: Trust = Trust.BOTH,
        checker: str = "",
    ) -> None:
        problem = dataclasses.replace(problem_row(name), trust=trust, checker=checker)
        self.rows.append(problem)
        self.rows += case_rows(problem.problem_id, tests)
        self.rows += [solution_row(problem, program) for program in programs]

    def verified(
        self, path: Path, config: VerifyConfig | None = None, *, wrong_programs: str = ""
    ) -> Verified:
        data = write_directory(path / "p", self.rows, (Problem, Case, Solution), job="prepare")
        stage = verify_stage(
            config or VerifyConfig(),
            data=data,
            out=str(path / "v"),
            workers=Workers(),
            wrong_programs=wrong_programs,
        )
        run_here(stage)
        directory = Directory(stage.out)
        rejected = list(directory.read_records(Rejected))
        return Verified(
            {problem.name: problem for problem in directory.read_records(Problem)},
            {audit.name: audit for audit in directory.read_records(Audit)},
            list(directory.read_records(Case)),
            list(directory.read_records(Solution)),
            list(directory.read_records(Verdict)),
            Counter(row.reason for row in rejected),
            {row.reason: row.detail for row in rejected},
            trust_text(trust_summary(directory)),
        )


def test_sound_problems_pass_and_wrong_solutions_go(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("sound", FIVE, DOUBLE, SQUARE, TWICE, CRASH)
    found = draft.verified(tmp_path)
    assert found.audits["sound"].trust is Trust.BOTH
    assert found.audits["sound"].reasons == ()
    assert [s.program for s in found.solutions] == [DOUBLE, TWICE]
    assert found.rejected == {"solution_wrong_answer": 1, "solution_runtime_error": 1}
    assert len(found.verdicts) == 4
    # the verdicts are those of a run that stops at the first failure
    crash = next(v for v in found.verdicts if v.outcome == "runtime_error")
    assert (crash.cases_run, crash.first_failure) == (3, 2)
    assert "2 of 4 = 50.00 %" in found.text


def test_a_faulty_test_is_found_dropped_and_reported(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("faulty", (*FIVE[:2], ("3", "7"), *FIVE[3:]), DOUBLE, TWICE, SHIFT, SQUARE)
    found = draft.verified(tmp_path)
    problem, audit = found.problems["faulty"], found.audits["faulty"]
    assert (problem.n_cases, problem.n_solutions, problem.trust) == (4, 3, Trust.BOTH)
    assert [case.index for case in found.cases] == [0, 1, 3, 4]
    assert (audit.n_cases, audit.n_quarantined, audit.n_references) == (5, 1, 3)
    assert found.rejected == {"test_quarantined": 1, "solution_wrong_answer": 1}
    assert (
        "3 of 3 known-good solutions agree on another output: expected '7', not '6\\n'"
        in (found.details["test_quarantined"])
    )
    assert "test quarantined: faulty 2: 3 of 3" in found.text


def test_many_faulty_tests_take_the_fails_away(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("shaky", (*FIVE[:3], ("4", "0"), ("5", "0")), DOUBLE, TWICE, SQUARE)
    found = draft.verified(tmp_path)
    assert found.problems["shaky"].trust is Trust.PASSES
    assert found.audits["shaky"].reasons == ("many_quarantined",)
    # the wrong solution is not kept, but that it is wrong is no label
    assert len(found.solutions) == 2
    assert found.rejected == {"test_quarantined": 2, "solution_quarantined": 1}


def test_one_solution_alone_does_not_condemn_tests(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("alone", (*FIVE[:4], ("5", "11")), DOUBLE)
    found = draft.verified(tmp_path)
    assert found.problems == {}
    assert found.rejected == {"solution_wrong_answer": 1, "no_solution_passed": 1}
    assert not found.audits["alone"].kept


def test_a_problem_whose_solutions_agree_against_all_tests_is_dropped_with_that(
    tmp_path: Path,
) -> None:
    draft = Draft()
    draft.add("broken", tuple((given, "0") for given, _ in FIVE), DOUBLE, TWICE)
    found = draft.verified(tmp_path)
    assert found.problems == {}
    assert found.audits["broken"].trust is Trust.NONE
    assert (
        "none of its solutions passes its tests; test 0: 2 of 2 known-good solutions agree"
        in (found.details["no_solution_passed"])
    )


def test_trivial_programs_take_the_passes_away(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("same", (("1", "ok"), ("2", "ok")), "print('ok')\n\n", "x = 'ok'\nprint(x)")
    draft.add("echo", (("1 2", "1 2"), ("3", "3")), "print(input())")
    draft.add("single", FIVE[:1], DOUBLE)
    found = draft.verified(tmp_path)
    assert {n: p.trust for n, p in found.problems.items()} == dict.fromkeys(
        ("same", "echo", "single"), Trust.FAILS
    )
    assert {n: a.reasons for n, a in found.audits.items()} == {
        "same": ("weak_tests",),
        "echo": ("weak_tests",),
        "single": ("few_tests",),
    }
    assert found.audits["echo"].trivial_passed == ("echo",)
    # solutions that came with the data are kept: the tests do not speak against them
    assert len(found.solutions) == 4
    assert found.rejected == {}


def test_weak_tests_can_be_only_reported(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("single", FIVE[:1], DOUBLE)
    config = VerifyConfig(gate=GateConfig(weak_tests="flag"))
    found = draft.verified(tmp_path, config)
    assert found.problems["single"].trust is Trust.BOTH
    assert "in 1 of them passes are labels" in found.text


def test_several_answers_without_a_checker_and_with_one(tmp_path: Path) -> None:
    checker = "def check(i, o, e):\n    a, b = map(int, o.split())\n    return a + b == int(i)\n"
    split = (("5", "2 3"), ("9", "4 5"), ("4", "2 2"))
    mine, other = "n = int(input())\nprint(n // 2, n - n // 2)", "n = int(input())\nprint(0, n)"
    wrong = "n = int(input())\nprint(n, n)"
    draft = Draft()
    draft.add("listed", split, mine, other, wrong, trust=Trust.PASSES)
    draft.add("checked", split, mine, other, wrong, checker=checker)
    found = draft.verified(tmp_path)
    assert found.problems["listed"].trust is Trust.PASSES
    assert found.audits["listed"].reasons == ("many_answers",)
    assert found.problems["checked"].trust is Trust.BOTH
    listed = problem_row("listed").problem_id
    assert [s.program for s in found.solutions if s.problem_id == listed] == [mine]
    assert found.problems["checked"].n_solutions == 2
    assert found.rejected == {"solution_quarantined": 2, "solution_wrong_answer": 1}


def test_a_checker_that_fails_drops_no_problem(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("ours", FIVE, "print('x')\n\n", checker="def check(i, o, e): return None\n")
    found = draft.verified(tmp_path)
    assert found.audits["ours"].reasons == ("not_checked",)
    assert (found.problems["ours"].trust, found.problems["ours"].n_solutions) == (Trust.BOTH, 0)
    assert found.rejected == {"solution_sandbox_error": 1}


def test_limits_bound_what_a_hopeless_solution_costs(tmp_path: Path) -> None:
    slow = "n = int(input())\nwhile True: pass"
    draft = Draft()
    draft.add("slow", tuple((str(n), str(2 * n)) for n in range(40)), DOUBLE, slow)
    draft.rows[0] = dataclasses.replace(draft.rows[0], time_limit_s=0.3)  # type: ignore[type-var]
    found = draft.verified(tmp_path)
    assert found.rejected == {"solution_time_limit": 1}
    assert sum(verdict.cpu_s for verdict in found.verdicts) < 3


def test_solutions_beyond_the_trials_stop_at_their_first_failure(tmp_path: Path) -> None:
    config = VerifyConfig(max_solutions=4, max_kept=2, gate=GateConfig(max_references=1))
    draft = Draft()
    draft.add("many", FIVE, SQUARE, DOUBLE, TWICE, SHIFT, CRASH)
    found = draft.verified(tmp_path, config)
    assert [s.program for s in found.solutions] == [DOUBLE, TWICE]
    assert found.rejected == {"solution_wrong_answer": 1, "not_run": 2}
    assert found.audits["many"].n_references == 0


@pytest.mark.parametrize("checker", ["", "def check(i, o, e): return o.split() == e.split()"])
def test_false_positives_are_counted_by_wrong_programs_and_mutants(
    tmp_path: Path, checker: str
) -> None:
    draft = Draft()
    draft.add("known", FIVE, DOUBLE, TWICE, checker=checker)
    path = tmp_path / "wrong.jsonl"
    unseen = "n = int(input())\nprint(2 * n if n < 6 else 0)"
    programs = [unseen, SQUARE, CRASH]
    path.write_text(
        "\n".join(json.dumps({"problem": "known", "program": text}) for text in programs)
    )
    found = draft.verified(tmp_path, VerifyConfig(mutants=4), wrong_programs=str(path))
    audit = found.audits["known"]
    assert (audit.n_wrong, audit.n_wrong_passed) == (3, 1)
    assert (audit.n_mutants, audit.n_mutants_passed) == (3, 0)
    assert "wrong programs that pass): 1 of 3 = 33.33 %" in found.text


def test_problems_without_solutions_stay(tmp_path: Path) -> None:
    draft = Draft()
    draft.add("bare", FIVE)
    found = draft.verified(tmp_path)
    assert found.problems["bare"].trust is Trust.BOTH
    assert found.audits["bare"].reasons == ("no_solutions",)
