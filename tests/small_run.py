"""A small run as directories: prepared, verified, sampled, judged, scored; no Ray, no engine.

Names, statements, programs and messages are as hostile as data gets.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codeprm.evaluation.card.agreement import agreements
from codeprm.evaluation.card.make import report_card
from codeprm.evaluation.compare_runs import compare_runs, run_of
from codeprm.evaluation.exhibits import Exhibits, gather
from codeprm.evaluation.lineage.funnel import trace_funnel
from codeprm.evaluation.measure import evaluate
from codeprm.evaluation.observed import read_observed
from codeprm.evaluation.page.cautions import cautions
from codeprm.evaluation.report import Report
from codeprm.evaluation.samples import Sources, read_samples
from codeprm.evaluation.selectors.costs import Prices
from codeprm.judge.gate import TEST_QUARANTINED
from codeprm.records import (
    Audit,
    Case,
    Completion,
    Outcome,
    Problem,
    Record,
    Rejected,
    Score,
    Solution,
    Trust,
    Verdict,
)
from tests.rows import (
    audit_row,
    case_row,
    completion_row,
    problem_row,
    score_row,
    solution_row,
    verdict_row,
    write_directory,
)

END_SCRIPT = "</script><script>console.error('run by data')</script>"
NAMES = (
    f"Two sums {END_SCRIPT}",
    "Longest path\" onmouseover='console.error(1)' x=\"",
    "Hidden \u202eDEKCIRT\u202c and \u200bunseen\x00",
    "&lt;b&gt; <img src=https://example.org/x.png onerror=console.error(2)>",
    "W" * 300,
    "{{ 7 * 7 }} {% raw %} ${7*7} $x^2$",
    "\u4e8c\u6b21\u5143 \u0645\u0633\u0623\u0644\u0629 \U0001f9ea",
)
DIFFICULTIES = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD")
FAILURES = (Outcome.WRONG_ANSWER, Outcome.TIME_LIMIT, Outcome.RUNTIME_ERROR)
LONG_PROGRAM = "x = [\n" + "    1234567,\n" * 800_000 + "]\n"

PROGRAM = '''import sys
from collections import deque


class Graph:
    """{name}"""

    def __init__(self, n: int) -> None:
        self.edges = [[] for _ in range(n)]

    @property
    def size(self) -> int:
        return len(self.edges)


def solve(n, values):
    # the {index}. attempt: {comment}
    best, queue = -1e9, deque(range({index}))
    for at, value in enumerate(values):
        best = max(best, value * {index} + at if value % 2 == 0 else 0x1F)
        queue.append((at, value, "a rather long string so that this line is wider than any phone is, and scrolls"))
    return best if queue else None


print(solve(*map(int, sys.stdin.read().split()[:2])))
'''  # noqa: E501


class SmallRun:
    """Problems with samples, half of whose truth the margin knows."""

    def __init__(
        self, path: Path, *, n_problems: int = 14, n_samples: int = 12, skill: float = 1.0
    ) -> None:
        rng = random.Random(5)
        self._path = path
        self.rejected: list[Record] = []
        self.cases: list[Record] = []
        self.solutions: list[Record] = []
        self.audits: list[Record] = []
        self.completions: list[Completion] = []
        self.verdicts: list[Verdict] = []
        self.scores: list[Score] = []
        self.problems = [self._problem(number) for number in range(n_problems)]
        for number, problem in enumerate(self.problems):
            for index in range(n_samples):
                passes = rng.random() < (number + 1) / (n_problems + 3)
                margin = skill * (2.0 * passes - 1.0) + rng.gauss(0, 1.2)
                self._sample(problem, index, passes, margin, rng)

    def write(self) -> Sources:
        """All directories, each the input of the next."""
        problems = [*self.problems, *self.solutions, *self.cases]
        prepared = self._write("prepared", problems, (Problem, Case, Solution), "prepare")
        verified = self._write(
            "verified",
            [*problems, *self.audits, *self.rejected[:1]],
            (Problem, Case, Solution, Audit),
            "verify",
            data=prepared,
        )
        completions = self._write(
            "samples", self.completions, (Completion,), "sample", data=verified
        )
        verdicts = self._write(
            "verdicts", self.verdicts, (Verdict,), "execute", data=verified, of=completions
        )
        scores = self._write(
            "scores",
            [*self.scores, *self.rejected[1:]],
            (Score,),
            "score",
            data=verified,
            of=completions,
        )
        return Sources.at(
            completions=completions, verdicts=verdicts, scores=scores, problems=verified
        )

    def _problem(self, number: int) -> Problem:
        name = NAMES[number] if number < len(NAMES) else f"Problem {number:02d}"
        problem = problem_row(name, difficulty=DIFFICULTIES[number % len(DIFFICULTIES)])
        problem = dataclasses.replace(
            problem,
            statement=f"Given n numbers, {name}\n\nInput: n < 10^5.\n\nOutput: {END_SCRIPT}",
            date=f"2024-{1 + number % 12:02d}-01",
        )
        for index in range(4):
            case = case_row(problem, index)
            self.cases.append(dataclasses.replace(case, public=index == 0))
        self.solutions.append(solution_row(problem, f"print({number})"))
        self.audits.append(audit_row(problem, trust=Trust.BOTH, n_quarantined=number % 2))
        if not self.rejected:
            self.rejected.append(
                Rejected(
                    row_id=f"{problem.problem_id}#case-4",
                    problem_id=problem.problem_id,
                    reason=TEST_QUARANTINED,
                    detail=f"references disagree: '1' and {END_SCRIPT}",
                    excerpt="",
                )
            )
        return problem

    def _sample(
        self, problem: Problem, index: int, passes: bool, margin: float, rng: random.Random
    ) -> None:
        program = PROGRAM.format(name=problem.name, index=index, comment=END_SCRIPT)
        if index == 5:
            program = PROGRAM.format(name=problem.name, index=0, comment=END_SCRIPT)
        if (problem is self.problems[1]) and index == 2:
            program = LONG_PROGRAM
        if (problem is self.problems[2]) and index == 3:
            program = ""
        completion = completion_row(problem, index, program, logprob=-rng.uniform(5, 60))
        if not program:
            completion = dataclasses.replace(completion, text="I cannot.\x1b[31m\x00")
        self.completions.append(completion)
        outcome = Outcome.PASSED if passes else rng.choice(FAILURES)
        verdict = verdict_row(completion, outcome)
        if not passes:
            verdict = dataclasses.replace(
                verdict,
                first_failure=2,
                detail=f"test 2: expected '{END_SCRIPT}', got '\x00\u202e12'",
            )
        self.verdicts.append(dataclasses.replace(verdict, cases_run=4, cases_passed=4 * passes))
        if index == 7 and problem is self.problems[0]:
            self.rejected.append(
                Rejected(
                    row_id=completion.completion_id,
                    problem_id=problem.problem_id,
                    reason="too_long",
                    detail="the program has 9000 tokens, the model reads 2048",
                    excerpt=program[:80],
                )
            )
            return
        probability = 1 / (1 + math.exp(-margin))
        score = dataclasses.replace(score_row(completion, margin), probability=probability)
        self.scores.append(score)

    def _write(
        self,
        name: str,
        rows: Sequence[Record],
        tables: tuple[type[Record], ...],
        job: str,
        **inputs: str,
    ) -> str:
        config = {"config": {"prompt_style": "docstring"}} if job == "sample" else None
        path = self._path / name
        return write_directory(path, rows, tables, job=job, buckets=3, inputs=inputs, config=config)


def small_report(path: Path) -> Report:
    """A report with every part that a page can have."""
    sources = SmallRun(path / "run").write()
    samples = read_samples(sources)
    observed = read_observed(samples, completions=sources.completions)
    prices = Prices(score_s=0.2, execution_s=0.1, prompt_tokens=300.0)
    evaluation = evaluate(samples, observed=observed, prices=prices, draws=200)
    other = evaluate(read_samples(SmallRun(path / "baseline", skill=0.2).write()), draws=200)
    bare = samples.margin + np.random.default_rng(0).normal(size=len(samples.margin))
    baseline = run_of(other, f"baseline {END_SCRIPT}")
    comparison = compare_runs(run_of(evaluation, "this run"), baseline, draws=200)
    followed = gather(samples, sources, observed=observed)
    behind = [d for d in (sources.verdicts, sources.scores) if d is not None]
    return Report(
        title=f"A small run </title>{END_SCRIPT}",
        evaluation=evaluation,
        funnel=trace_funnel(behind),
        exhibits=Exhibits(
            card=report_card(samples, draws=200),
            agreement=agreements(samples, bare, draws=200),
            comparison=comparison,
            mistakes=followed.mistakes,
            underrated=followed.underrated,
            problems=followed.problems,
        ),
        warnings=[
            *cautions(evaluation, comparison),
            f"The generator {END_SCRIPT} is unlike the one trained on.",
        ],
    )
