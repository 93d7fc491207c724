"""A dataset -> the same problems with solutions that carry reasoning steps.

A chat model repeats each solution with comments before its important steps. An answer counts only
if it is the same program; if not, it is asked again, warmer, a few times. Accepted answers are
cleaned. The first question is greedy, and all that is drawn by chance (which solutions, which
examples, the seeds) follows from the configuration and the problem.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from codeprm.backends import BackendConfig, backend_model, backend_of, build_backend
from codeprm.backends.base import Request, Sampling
from codeprm.errors import BackendError
from codeprm.reasoning import accepts, annotation_messages, clean_reasoning, extract_answer
from codeprm.records import Case, Problem, Record, Rejected, Solution, solution_id_of
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.bounded import as_finished
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.steps.sample import seed_of
from codeprm.steps.verify import WholeProblem, whole_problems
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class AnnotateConfig:
    """What is asked, and how often."""

    max_solutions: int = 10
    """Annotate at most so many solutions a problem, drawn by the seed."""
    retries: int = 5
    """Ask again so often where the answer is another program."""
    n_shots: int = 3
    """Examples in the question."""
    seed: int = 0
    """Decides the draws."""
    retry_temperature: float = 0.45
    """Temperature of the further answers; the first one is greedy."""
    retry_top_p: float = 0.95
    """Nucleus mass of the further answers."""
    max_tokens: int = 2048
    """Longest answer, in tokens."""

    def sampling(self, attempt: int) -> Sampling:
        """How an answer is drawn."""
        if attempt == 0:
            return Sampling(temperature=0.0, top_p=1.0, max_tokens=self.max_tokens)
        return Sampling(
            temperature=self.retry_temperature,
            top_p=self.retry_top_p,
            max_tokens=self.max_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class AnnotateIdentity:
    """What decides the rows."""

    config: AnnotateConfig
    backend: str
    model: str


class Attempt(NamedTuple):
    """A solution of an item, and what became of it: its annotated form or a reason."""

    problem_id: str
    record: Solution | Rejected


def annotate_stage(
    config: AnnotateConfig, backend: BackendConfig, *, data: str, out: str, workers: Workers
) -> Stage:
    """One unit a bucket of the dataset."""
    buckets = Directory(data).buckets
    Directory(data).require_complete()
    identity = AnnotateIdentity(
        config=config, backend=backend_of(backend), model=backend_model(backend)
    )
    return Stage(
        job="annotate",
        out=out,
        config=identity,
        inputs={"data": data},
        tables=(Problem, Case, Solution),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(AnnotateStep, identity, backend, data),
        workers=workers,
    )


class AnnotateStep:
    """An item is a problem with its cases and solutions."""

    spool_key: str | None = None

    def __init__(self, identity: AnnotateIdentity, backend: BackendConfig, data: str) -> None:
        self._config = identity.config
        self._data = Directory(data)
        self._backend = build_backend(backend)

    def items(self, unit: Unit) -> Sequence[Item]:
        whole = whole_problems(self._data, unit.bucket, self._data.buckets)
        return [Item(value.problem.problem_id, value.problem.problem_id, value) for value in whole]

    async def process(self, items: Sequence[Item]) -> AsyncIterator[Record]:
        wholes: dict[str, WholeProblem] = {item.problem_id: item.value for item in items}
        chosen = {problem_id: self._chosen(whole) for problem_id, whole in wholes.items()}
        kept: dict[str, list[Solution]] = {problem_id: [] for problem_id in wholes}
        calls = (
            self._annotate(wholes[problem_id].problem, solution)
            for problem_id, solutions in chosen.items()
            for solution in solutions
        )
        async for attempt in as_finished(calls, self._backend.in_flight):
            if isinstance(attempt.record, Solution):
                kept[attempt.problem_id].append(attempt.record)
            else:
                yield attempt.record
        for problem_id, whole in wholes.items():
            for record in self._problem_rows(whole, chosen[problem_id], kept[problem_id]):
                yield record

    def close(self) -> None:
        self._backend.close()

    def _chosen(self, whole: WholeProblem) -> Sequence[Solution]:
        rng = random.Random(seed_of(self._config.seed, whole.problem.problem_id, 0))
        n = min(self._config.max_solutions, len(whole.solutions))
        return rng.sample(whole.solutions, n)

    def _problem_rows(
        self, whole: WholeProblem, chosen: Sequence[Solution], kept: Sequence[Solution]
    ) -> list[Record]:
        problem_id = whole.problem.problem_id
        # two solutions that differed in layout only can be equal once they are cleaned
        unique = {s.solution_id: s for s in sorted(kept, key=lambda s: (s.origin, s.program))}
        left = {solution.solution_id for solution in chosen}
        detail = f"{len(chosen)} of its problem's {len(whole.solutions)} solutions were drawn"
        not_drawn = [
            rejected(solution.solution_id, problem_id, "not_drawn", detail, solution.program)
            for solution in whole.solutions
            if solution.solution_id not in left
        ]
        problem = dataclasses.replace(whole.problem, n_solutions=len(unique))
        return [problem, *whole.cases, *(unique[key] for key in sorted(unique)), *not_drawn]

    async def _annotate(self, problem: Problem, solution: Solution) -> Attempt:
        try:
            answer = await self._accepted(problem, solution)
        except BackendError as error:
            return _dropped(solution, "backend_error", str(error))
        if answer is None:
            tries = 1 + self._config.retries
            return _dropped(solution, "no_equal_syntax_tree", f"none of {tries} answers was")
        program = clean_reasoning(answer, problem.starter_code)
        if program is None:
            return _dropped(solution, "comment_ratio", "too few comments, or hardly any code")
        annotated = Solution(
            solution_id=solution_id_of(problem.problem_id, program),
            problem_id=problem.problem_id,
            program=program,
            origin=solution.origin,
            has_reasoning=True,
        )
        return Attempt(problem.problem_id, annotated)

    async def _accepted(self, problem: Problem, solution: Solution) -> str | None:
        for attempt in range(1 + self._config.retries):
            seed = seed_of(self._config.seed, solution.solution_id, attempt)
            request = Request(
                request_id=f"{solution.solution_id}:{attempt}",
                prompt=annotation_messages(
                    problem.statement,
                    solution.program,
                    rng=random.Random(seed),
                    n_shots=self._config.n_shots,
                ),
                seed=seed,
                sampling=self._config.sampling(attempt),
            )
            answer = extract_answer((await self._backend.generate(request)).text)
            if accepts(solution.program, answer):
                return answer
        return None


def _dropped(solution: Solution, reason: str, detail: str) -> Attempt:
    row = rejected(solution.solution_id, solution.problem_id, reason, detail, solution.program)
    return Attempt(solution.problem_id, row)
