"""Solutions -> failing programs with the step they break, checked by execution.

    solution -> runs, must pass -> edits (codeprm.judge.edits) -> run, must fail -> Example

An edit changes one node of a solution's syntax tree and no other character, so its reasoning
comments stay and `broken_step` says under which of them the fault lies. An edit that passes all
tests is no mutation, and one whose verdict is unknown teaches nothing; both are kept in
`rejected/` with the reason, as are solutions that do not pass here.

Rows are examples and not completions with verdicts: what makes them worth having, the origin and
the step, is a field of an example, and nothing but training reads them. The label job mixes them
into its own (`--mutations`), up to a share, since mutations are not what a generator gets wrong.
The solutions stand beside them as passing examples.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from codeprm.errors import ConfigError, DataError
from codeprm.judge.edits import ORIGIN, Edit, edits, step_of_row
from codeprm.judge.grade import grade
from codeprm.judge.slots import Slots
from codeprm.judge.verdict import GradeOptions
from codeprm.prompts import docstring_prompt
from codeprm.records import (
    Example,
    Label,
    Problem,
    Record,
    Solution,
    Trust,
    Verdict,
    content_hash,
    solution_id_of,
)
from codeprm.sandbox.levels import Level
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.draw import passed_share
from codeprm.steps.examples import TRAIN
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.steps.soundness import require_sound_machine
from codeprm.steps.verify import WholeProblem, whole_problems
from codeprm.tables import Directory
from codeprm.tables.protocol import NOT_IDENTITY

Judge = Callable[[Problem, str], Verdict]


@dataclass(frozen=True, kw_only=True)
class MutateConfig:
    """How many programs of a problem are broken, and how often."""

    max_solutions: int = 5
    """Break at most so many solutions of a problem, drawn by the seed."""
    per_solution: int = 4
    """Try so many edits of each; those that still pass are dropped."""
    require_reasoning: bool = False
    """Break only solutions with reasoning steps."""
    run_all_tests: bool = False
    """Go on after a failure, to count the tests that pass."""
    seed: int = 0
    """Decides which solutions and which edits."""
    sandbox_floor: Level = field(default=Level.F2, metadata=NOT_IDENTITY)
    """Refuse to run on a machine that holds programs less well; F3 is for development."""

    def __post_init__(self) -> None:
        if self.max_solutions < 1 or self.per_solution < 1:
            raise ConfigError("max_solutions and per_solution must be at least 1")


def mutate_stage(config: MutateConfig, *, data: str, out: str, workers: Workers) -> Stage:
    """One unit a bucket of the dataset."""
    manifest = Directory(data).require_complete()
    if not manifest["rows"].get(Solution.table, 0):
        raise DataError(
            f"{data} holds no solutions to break: give the directory of a verify, annotate or "
            "merge job"
        )
    buckets = Directory(data).buckets
    return Stage(
        job="mutate",
        out=out,
        config=config,
        inputs={"data": data},
        tables=(Example,),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(MutateStep, config, data),
        workers=workers,
    )


class MutateStep:
    """One sandbox slot a worker, and one more where problems have checkers."""

    spool_key: str | None = None

    def __init__(self, config: MutateConfig, data: str) -> None:
        self._config = config
        self._data = Directory(data)
        self._slots = Slots(config.sandbox_floor)

    def items(self, unit: Unit) -> Sequence[Item]:
        whole = whole_problems(self._data, unit.bucket, self._data.buckets)
        return [Item(own.problem.problem_id, own.problem.problem_id, own) for own in whole]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        require_sound_machine(self._config.sandbox_floor)
        for item in items:
            yield from mutate_problem(item.value, self._config, partial(self._judge, item.value))

    def close(self) -> None:
        self._slots.close()

    def _judge(self, whole: WholeProblem, problem: Problem, program: str) -> Verdict:
        return grade(
            self._slots.programs,
            problem,
            whole.cases,
            program,
            options=GradeOptions(run_all=self._config.run_all_tests),
            checkers=self._slots.checkers,
        )


def mutate_problem(whole: WholeProblem, config: MutateConfig, judge: Judge) -> Iterator[Record]:
    """Examples of one problem, and what was tried in vain."""
    problem = whole.problem
    if not whole.cases:
        problem_id = problem.problem_id
        yield rejected(problem_id, problem_id, "no_cases", "the problem has no tests", "")
        return
    taken = {solution.program for solution in whole.solutions}
    for solution in drawn_solutions(problem, whole.solutions, config):
        # weak tests say nothing against a solution that is known to be good
        trust = Trust.of(passes=True, fails=problem.trust.in_fails)
        verdict = judge(dataclasses.replace(problem, trust=trust), solution.program)
        if verdict.label is not Label.PASS:
            row_id, detail = solution.solution_id, f"{verdict.outcome}: {verdict.detail}"
            yield rejected(row_id, problem.problem_id, "solution_not_passed", detail, "")
            continue
        if problem.trust.in_passes:
            yield _example(problem, solution.program, verdict, model=solution.origin, step=None)
        seed = content_hash("edits", str(config.seed), solution.solution_id)
        for edit in edits(solution.program, config.per_solution, seed=seed):
            if edit.program not in taken:
                taken.add(edit.program)
                yield _judged_edit(problem, edit, judge(problem, edit.program))


def drawn_solutions(
    problem: Problem, solutions: Sequence[Solution], config: MutateConfig
) -> list[Solution]:
    """The solutions that are broken, in the order of the table."""
    fit = [own for own in solutions if own.has_reasoning or not config.require_reasoning]
    if len(fit) <= config.max_solutions:
        return fit
    rng = random.Random(content_hash("mutate", str(config.seed), problem.problem_id))
    chosen = rng.sample(range(len(fit)), config.max_solutions)
    return [fit[index] for index in sorted(chosen)]


def _judged_edit(problem: Problem, edit: Edit, verdict: Verdict) -> Record:
    if verdict.label is Label.FAIL:
        step = step_of_row(edit.program, edit.row)
        return _example(problem, edit.program, verdict, model=ORIGIN, step=step)
    reason = "mutant_passed" if verdict.label is Label.PASS else "unknown_label"
    row_id = solution_id_of(problem.problem_id, edit.program)
    detail = f"row {edit.row + 1}: {edit.old!r} to {edit.new!r}, {verdict.outcome}"
    return rejected(row_id, problem.problem_id, reason, detail, edit.program)


def _example(
    problem: Problem, program: str, verdict: Verdict, *, model: str, step: int | None
) -> Example:
    return Example(
        example_id=solution_id_of(problem.problem_id, program),
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, problem.starter_code),
        program=program,
        label=verdict.label,
        weight=1.0,
        split=TRAIN,
        outcome=verdict.outcome,
        passed_share=passed_share(problem, verdict),
        model=model,
        broken_step=step,
    )
