"""Judging what a generator in training wrote, in an actor of its own.

A training rank has the threads of torch and Ray and perhaps a GPU: it must start no process that
runs programs. The actor is a fresh, light process beside rank 0, on its node, and ends with it; its
sandbox is the one of `execute`. It holds no logical CPU, or it could wait for ever on a node that
training fills; one program runs at a time. What it cannot judge is a number less and a warning,
training never ends with it.
"""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from codeprm.judge.grade import grade
from codeprm.judge.slots import Slots
from codeprm.records import Label, bucket_of
from codeprm.sandbox.levels import Level
from codeprm.steps.cases import CaseStore
from codeprm.steps.soundness import require_sound_machine
from codeprm.tables import Directory, open_directory
from codeprm.training.config import GeneratorConfig
from codeprm.training.prepare import read_tokenizer
from codeprm.training.sample_options import SampleOptions
from codeprm.training.sampled import (
    SampledProblems,
    Sampler,
    draw_problems,
    require_tests,
)

# A look's programs that are not begun by then are left out: training waits for them at the next.
JUDGED_WITHIN_S = 600.0
RESTARTS = 2

logger = logging.getLogger("codeprm.train")


def survey(data: str, config: GeneratorConfig, options: SampleOptions) -> SampledProblems:
    """Before training: which problems, that their tests are there and programs can be run."""
    directory = open_directory(data)
    problems = draw_problems(directory, config, options.sample_problems)
    store = _store(data, [problem.problem_id for problem in problems])
    have = [p.problem_id for p in problems if store.cases(p.problem_id)]
    require_tests(data, problems, have)
    require_sound_machine(options.sandbox_floor)
    return SampledProblems(data, problems, options)


class JudgeActor:
    """One sandbox slot, and one more where problems have checkers."""

    def __init__(self, data: str, floor: Level) -> None:
        self._data = data
        self._floor = floor
        self._slots = Slots(floor)
        atexit.register(self._slots.close)

    def judge(self, programs: Mapping[str, str]) -> list[Label]:
        """Labels of programs by problem id, as many as there is time for."""
        require_sound_machine(self._floor)
        until, store = time.monotonic() + JUDGED_WITHIN_S, _store(self._data, programs)
        labels: list[Label] = []
        for problem_id, program in programs.items():
            problem = store.problem(problem_id)
            if problem is None or time.monotonic() > until:
                continue
            cases = store.cases(problem_id)
            slots = self._slots
            verdict = grade(slots.programs, problem, cases, program, checkers=slots.checkers)
            labels.append(verdict.label)
        return labels


class RayJudging:
    """Rank 0's side: an actor, and the looks that it is at."""

    def __init__(self, data: str, floor: Level) -> None:
        here = ray.get_runtime_context().get_node_id()
        self._actor: Any = (
            ray.remote(JudgeActor)
            .options(
                num_cpus=0,
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
            )
            .remote(data, floor)
        )
        self._begun: dict[int, Any] = {}

    def begin(self, step: int, programs: Mapping[str, str]) -> None:
        if step not in self._begun:
            self._begun[step] = self._actor.judge.remote(dict(programs))

    def labels(self, step: int, programs: Mapping[str, str], wait_s: float) -> list[Label] | None:
        self.begin(step, programs)
        try:
            labels: list[Label] = ray.get(self._begun[step], timeout=wait_s)
        except ray.exceptions.GetTimeoutError:
            return None
        except ray.exceptions.RayError as error:
            logger.warning("what was sampled after step %d is not judged: %s", step, _reason(error))
            labels = []
        else:
            if len(labels) < len(programs):
                logger.warning(
                    "%d of %d programs sampled after step %d were judged in %.0f s, the others are "
                    "left out",
                    len(labels), len(programs), step, JUDGED_WITHIN_S,
                )  # fmt: skip
        del self._begun[step]
        return labels


def _reason(error: Exception) -> str:
    """One line of what failed in a task or an actor; some errors have no text."""
    cause = getattr(error, "cause", None) or error
    return (str(cause).strip() or repr(cause)).splitlines()[-1][:300]


def sampler_of(
    sampled: SampledProblems, config: GeneratorConfig, directory: Directory, rank: int
) -> Sampler:
    """A rank's sampler; rank 0 has the programs judged."""
    return Sampler(
        sampled=sampled,
        config=config,
        tokenizer=read_tokenizer(directory),
        judging=None if rank else RayJudging(sampled.data, sampled.options.sandbox_floor),
    )


def _store(data: str, problem_ids: Iterable[str]) -> CaseStore:
    """Tests of a dataset directory, of the buckets of these problems."""
    store, buckets = CaseStore(data), Directory(data).buckets
    for bucket in sorted({bucket_of(problem_id, buckets) for problem_id in problem_ids}):
        store.open_bucket(bucket, buckets)
    return store
