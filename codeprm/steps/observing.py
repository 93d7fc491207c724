"""Running one problem's programs on its public tests and on candidates, for the observe step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from codeprm.judge.canonical import NO_OUTPUT, digest_of
from codeprm.judge.checker import CheckerRun
from codeprm.judge.compare import CompareMode
from codeprm.judge.grade import encode_input
from codeprm.judge.probes import Inputs
from codeprm.judge.slots import Slots
from codeprm.judge.verdict import Expectations, Failure
from codeprm.records import Case, Outcome, Problem
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput

LIMITS = (
    RunStatus.TIME_LIMIT, RunStatus.MEMORY_LIMIT, RunStatus.OUTPUT_LIMIT, RunStatus.FLAKY,
)  # fmt: skip
# One program that is stopped may be slow itself.
MIN_SLOW = 2


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one program was seen to do, as far as it has run; `fault` says what kept us from it."""

    public_passed: bool = False
    public: list[str] = field(default_factory=list)
    outputs: dict[int, str] = field(default_factory=dict)
    executions: int = 0
    cpu_s: float = 0.0
    slow: set[int] = field(default_factory=set)
    """Candidates on which it ran into a limit."""
    n_limits: int = 0
    may_run: bool = True
    """False for what does not compile, came to no good end on any public test, ran into too many
    limits or met a fault."""
    fault: str = ""

    def all_outputs(self, n_public: int, chosen: Sequence[int]) -> tuple[str, ...]:
        """One digest a probe, public ones first."""
        missing = [NO_OUTPUT] * (n_public - len(self.public))
        return (
            *self.public,
            *missing,
            *(self.outputs.get(place, NO_OUTPUT) for place in chosen),
        )


def too_slow(pilots: Iterable[Seen]) -> set[int]:
    """Candidates that are no use: limits stopped several pilots, and more than came through."""
    slow = Counter(place for seen in pilots for place in seen.slow)
    done = Counter(place for seen in pilots for place in seen.outputs)
    return {place for place, n in slow.items() if n >= MIN_SLOW and 2 * n > done[place]}


class Task(NamedTuple):
    """A problem, ready for its programs."""

    problem: Problem
    inputs: Inputs
    expected: Expectations
    mode: CompareMode
    checker: CheckerRun | None


class Observer:
    """One slot for programs, one that starts when a problem has a checker."""

    def __init__(self, floor: Level, *, max_time_s: float, max_limits: int) -> None:
        self._slots = Slots(floor)
        self._max_time_s = max_time_s
        self._max_limits = max_limits
        self._task: Task | None = None

    def open(self, problem: Problem, cases: Sequence[Case], inputs: Inputs) -> None:
        """The problem that the next programs are about; `cases` are all of its tests."""
        self._leave()
        checker = CheckerRun(self._slots.checkers, problem) if problem.checker else None
        expected = Expectations(problem, cases, check=checker)
        self._task = Task(problem, inputs, expected, expected.mode, checker)

    def on_public(self, program: str) -> Seen:
        """Run it on the public tests and compare."""
        task = self._opened()
        seen = Seen(may_run=bool(program.strip()))
        cases = task.inputs.public
        failures: list[Failure | None] = []
        run = self._run(program, seen, [case.input for case in cases], task.problem.time_limit_s)
        with closing(run):
            for case, result in zip(cases, run, strict=False):
                failure = task.expected.failure(case, result)
                if failure is not None and failure.outcome is Outcome.SANDBOX_ERROR:
                    seen.fault, seen.may_run = failure.detail or "no message", False
                    break
                failures.append(failure)
                seen.public.append(self._digest(result))
        passed = sum(failure is None for failure in failures)
        seen.public_passed = bool(cases) and passed == len(cases)
        # what fails wherever it is known to be fed right has no vote
        seen.may_run = seen.may_run and (not cases or any(seen.public))
        return seen

    def on_candidates(
        self, program: str, seen: Seen, places: Iterable[int], *, to_the_end: bool = False
    ) -> None:
        """Run it on those of the candidates that it has not been run on.

        `to_the_end`: whatever limits it meets, since these may be the candidates' fault.
        """
        task = self._opened()
        todo = [place for place in places if place not in seen.outputs]
        texts = [task.inputs.candidates[place] for place in todo]
        limit_s = min(task.problem.time_limit_s, self._max_time_s)
        with closing(self._run(program, seen, texts, limit_s, to_the_end=to_the_end)) as run:
            for place, result in zip(todo, run, strict=False):
                seen.outputs[place] = self._digest(result)
                if result.status in LIMITS:
                    seen.slow.add(place)

    def close(self) -> None:
        """End the processes."""
        self._leave()
        self._slots.close()

    def _run(
        self,
        program: str,
        seen: Seen,
        texts: Sequence[str],
        limit_s: float,
        *,
        to_the_end: bool = False,
    ) -> Generator[RunResult, None, None]:
        """Results in order, as far as they tell something; notes in `seen` what it took."""
        if not seen.may_run or not texts:
            return
        problem = self._opened().problem
        limits = Limits(cpu_time_s=limit_s, memory_mb=problem.memory_limit_mb)
        inputs = (_input(problem, text) for text in texts)
        with closing(self._slots.programs.run(program, inputs, limits)) as results:
            for result in results:
                if result.status is RunStatus.SANDBOX_ERROR:
                    seen.fault = result.stderr_tail or "no message"
                if result.status in (RunStatus.SANDBOX_ERROR, RunStatus.COMPILE_ERROR):
                    seen.may_run = False
                    return
                seen.executions += 1
                seen.cpu_s += result.cpu_s
                seen.n_limits += result.status in LIMITS and not to_the_end
                seen.may_run = seen.n_limits < self._max_limits
                yield result
                if not seen.may_run:
                    return

    def _digest(self, result: RunResult) -> str:
        task = self._opened()
        return digest_of(result, task.mode, is_call=task.expected.is_call)

    def _opened(self) -> Task:
        assert self._task is not None, "open a problem first"
        return self._task

    def _leave(self) -> None:
        if self._task is not None and self._task.checker is not None:
            self._task.checker.close()
        self._task = None


def _input(problem: Problem, text: str) -> StdinInput | CallInput:
    """As a test's input goes in; there is nothing expected of it."""
    probe = Case(problem_id=problem.problem_id, index=0, input=text, expected="null", public=False)
    return encode_input(problem, probe)
