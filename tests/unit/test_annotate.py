"""The annotate step with a fake engine and with the rules."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from codeprm.backends import BackendConfig
from codeprm.backends.fake import FakeConfig
from codeprm.backends.rules_backend import RulesConfig
from codeprm.reasoning import same_syntax
from codeprm.records import Case, Problem, Rejected, Solution
from codeprm.steps.annotate import AnnotateConfig, annotate_stage
from codeprm.steps.base import Workers
from codeprm.steps.run import run_here
from tests.rows import case_row, problem_row, read_all, solution_row, write_directory

TABLES = (Problem, Case, Solution)
PROGRAM = "n = int(input())\nfor i in range(n):\n    print(i)"
GOOD = (
    "```python\n# read the count\nn = int(input())\n# repeat\nfor i in range(n):\n    print(i)\n```"
)
CHANGED = "```python\n# read\nn = int(input()) + 1\nfor i in range(n):\n    print(i)\n```"
PROBLEM = problem_row("p")


@pytest.fixture
def data(tmp_path: Path) -> str:
    rows = [
        dataclasses.replace(PROBLEM, n_solutions=1),
        case_row(PROBLEM),
        solution_row(PROBLEM, PROGRAM),
    ]
    return write_directory(tmp_path / "data", rows, TABLES)


def annotate(
    data: str, out: Path, backend: BackendConfig, config: AnnotateConfig | None = None
) -> dict[str, int]:
    stage = annotate_stage(
        config or AnnotateConfig(), backend, data=data, out=str(out), workers=Workers()
    )
    counts: dict[str, int] = run_here(stage)["counts"]
    return counts


def solutions(out: Path) -> list[Solution]:
    return [row for row in read_all(str(out), Solution) if isinstance(row, Solution)]


def test_the_rules_annotate_and_all_else_stays(data: str, tmp_path: Path) -> None:
    annotate(data, tmp_path / "out", RulesConfig())
    [solution] = solutions(tmp_path / "out")
    assert solution.has_reasoning
    assert "#" in solution.program
    assert same_syntax(solution.program, PROGRAM)
    [problem, case] = read_all(str(tmp_path / "out"), Problem, Case)
    assert problem == dataclasses.replace(PROBLEM, n_solutions=1)
    assert case == case_row(PROBLEM)


def test_an_answer_that_is_another_program_is_asked_again(data: str, tmp_path: Path) -> None:
    # the seed of each attempt picks the answer: some attempts meet the good one
    annotate(data, tmp_path / "out", FakeConfig(answers=(CHANGED, GOOD)))
    [solution] = solutions(tmp_path / "out")
    assert solution.program.startswith("# read the count")


def test_a_solution_that_is_never_repeated_exactly_is_rejected(data: str, tmp_path: Path) -> None:
    counts = annotate(data, tmp_path / "out", FakeConfig(answers=(CHANGED,)))
    assert counts["rejected:no_equal_syntax_tree"] == 1
    [problem] = read_all(str(tmp_path / "out"), Problem)
    assert isinstance(problem, Problem)
    assert problem.n_solutions == 0
    [row] = read_all(str(tmp_path / "out"), Rejected)
    assert isinstance(row, Rejected)
    assert "none of 6 answers" in row.detail


def test_a_dead_request_rejects_its_solution(data: str, tmp_path: Path) -> None:
    solution_id = solution_row(PROBLEM, PROGRAM).solution_id
    backend = FakeConfig(answers=(GOOD,), failing=(f"{solution_id}:0",))
    assert annotate(data, tmp_path / "out", backend)["rejected:backend_error"] == 1


def test_hardly_any_comments_are_too_few(tmp_path: Path) -> None:
    program = "\n".join(f"print({number})" for number in range(200))
    data = write_directory(tmp_path / "data", [PROBLEM, solution_row(PROBLEM, program)], TABLES)
    backend = FakeConfig(answers=(f"```python\n# print\n{program}\n```",))
    assert annotate(data, tmp_path / "out", backend)["rejected:comment_ratio"] == 1


def test_solutions_are_drawn_by_the_seed(tmp_path: Path) -> None:
    programs = [f"n = int(input())\nprint(n + {number})" for number in range(6)]
    rows = [solution_row(PROBLEM, program) for program in programs]
    data = write_directory(tmp_path / "data", [PROBLEM, *rows], TABLES)

    def drawn(name: str, seed: int) -> set[str]:
        config = AnnotateConfig(max_solutions=3, seed=seed)
        counts = annotate(data, tmp_path / name, RulesConfig(), config)
        assert counts["rejected:not_drawn"] == 3
        return {row.program for row in solutions(tmp_path / name)}

    first = drawn("a", 0)
    assert len(first) == 3
    assert drawn("b", 0) == first
    assert any(drawn(f"c{seed}", seed) != first for seed in range(1, 5))
