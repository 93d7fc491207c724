"""Natural and synthetic solutions come together: once each, cleaned, capped, accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from codeprm.errors import ConfigError
from codeprm.records import Case, Completion, Outcome, Problem, Rejected, Solution, Verdict
from codeprm.steps.base import Workers
from codeprm.steps.merge import MergeConfig, MergeInputs, merge_problem, merge_stage
from codeprm.steps.run import run_here
from codeprm.steps.verify import WholeProblem
from tests.rows import (
    case_row,
    completion_row,
    problem_row,
    read_all,
    solution_row,
    verdict_row,
    write_directory,
)

COMMENTED = "# read the number\nn = int(input())\n# print its double\nprint(2 * n)"
TRAILING = "n = int(input())  # read the number\nprint(2 * n)  # print its double"
BARE = "n = int(input())\nprint(2 * n)"


def merged(
    natural: list[str], written: list[str], config: MergeConfig | None = None
) -> tuple[Problem, list[Solution], Counter[str]]:
    problem = problem_row("a")
    whole = WholeProblem(
        problem, (case_row(problem),), tuple(solution_row(problem, p) for p in natural)
    )
    synthetic = [solution_row(problem, p, origin="tiny") for p in written]
    rows = list(merge_problem(whole, synthetic, config or MergeConfig()))
    assert [row for row in rows if isinstance(row, Case)] == [case_row(problem)]
    problems = [row for row in rows if isinstance(row, Problem)]
    dropped = Counter(row.reason for row in rows if isinstance(row, Rejected))
    return problems[0], [row for row in rows if isinstance(row, Solution)], dropped


def test_equal_programs_are_one_and_stay_natural() -> None:
    # the trailing comments become leading ones, and then the two are the same text
    problem, solutions, dropped = merged([COMMENTED], [TRAILING, COMMENTED])
    assert [(s.program, s.origin, s.has_reasoning) for s in solutions] == [
        (COMMENTED, "natural", True)
    ]
    assert problem.n_solutions == 1
    assert dropped == {"duplicate_solution": 2}


def test_solutions_without_reasoning_are_dropped_unless_they_may_stay() -> None:
    _, solutions, dropped = merged([BARE], [COMMENTED])
    assert [s.origin for s in solutions] == ["tiny"]
    assert dropped == {"unfit_comments": 1}
    _, solutions, dropped = merged([BARE], [COMMENTED], MergeConfig(require_reasoning=False))
    assert [(s.program, s.has_reasoning) for s in solutions] == [(BARE, False), (COMMENTED, True)]
    assert dropped == {}


def test_cap_keeps_natural_ones_and_draws_the_rest_by_seed() -> None:
    written = [f"{COMMENTED}\nprint({number})" for number in range(20)]

    def kept(seed: int) -> list[str]:
        config = MergeConfig(max_solutions=4, seed=seed)
        problem, solutions, dropped = merged([COMMENTED], written, config)
        assert problem.n_solutions == len(solutions) == 4
        assert dropped == {"over_cap": 17}
        assert solutions[0].origin == "natural"
        return [solution.program for solution in solutions[1:]]

    assert kept(0) == kept(0)
    assert kept(0) != kept(1)
    assert kept(0) != written[:3]


def inputs(path: Path) -> MergeInputs:
    """Problem `both` is natural and sampled, `extra` only sampled, `failed` never solved."""
    both, extra, failed = problem_row("both"), problem_row("extra"), problem_row("failed")
    natural = [both, case_row(both), solution_row(both, COMMENTED)]
    sampled = [both, extra, failed, case_row(extra), case_row(failed), solution_row(extra, BARE)]
    outcomes = {both: Outcome.PASSED, extra: Outcome.PASSED, failed: Outcome.WRONG_ANSWER}
    completions = {p: completion_row(p, 0, f"{TRAILING}\nprint(0)") for p in outcomes}
    verdicts = [verdict_row(completions[p], outcome) for p, outcome in outcomes.items()]
    tables = (Problem, Case, Solution)
    return MergeInputs(
        data=write_directory(path / "natural", natural, tables),
        completions=(write_directory(path / "samples", completions.values(), (Completion,)),),
        verdicts=(write_directory(path / "verdicts", verdicts, (Verdict,), buckets=3),),
        sampled_from=write_directory(path / "sampled", sampled, tables, buckets=4),
    )


def test_stage_takes_problems_of_both_datasets(tmp_path: Path) -> None:
    out = str(tmp_path / "merged")
    stage = merge_stage(MergeConfig(), inputs(tmp_path), out=out, workers=Workers())
    manifest = run_here(stage)
    by_name = {row.name: row for row in read_all(out, Problem) if isinstance(row, Problem)}
    assert {name: row.n_solutions for name, row in by_name.items()} == {"both": 2, "extra": 1}
    solutions = [row for row in read_all(out, Solution) if isinstance(row, Solution)]
    assert Counter(s.origin for s in solutions) == {"natural": 1, "tiny": 2}
    assert manifest["rows"] == {"problems": 2, "cases": 2, "solutions": 3, "rejected": 0}


def test_passing_programs_of_an_unknown_problem_are_rejected(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    alone = MergeInputs(data=given.data, completions=given.completions, verdicts=given.verdicts)
    out = str(tmp_path / "merged")
    run_here(merge_stage(MergeConfig(), alone, out=out, workers=Workers()))
    rejected = [row for row in read_all(out, Rejected) if isinstance(row, Rejected)]
    assert [(row.reason, row.problem_id) for row in rejected] == [
        ("no_problem", problem_row("extra").problem_id)
    ]


def test_directories_come_in_pairs(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    lone = MergeInputs(data=given.data, completions=given.completions, verdicts=())
    with pytest.raises(ConfigError, match="1 directories of completions and 0 of verdicts"):
        merge_stage(MergeConfig(), lone, out=str(tmp_path / "out"), workers=Workers())
