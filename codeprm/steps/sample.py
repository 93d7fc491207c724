"""Problems -> completions: a model answers each problem n times.

A unit is a run of problems of one part of the dataset, small enough to be lost, large enough to
keep an engine busy. An item is one sample; its seed follows from the configuration, the problem and
the index, so a re-run asks for the same ones, and a finished one is kept even if its worker dies
before the unit is committed. Rows stand in the order in which they were finished.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice

from codeprm.backends import BackendConfig, backend_model, backend_of, build_backend
from codeprm.backends.base import Request, Sampling
from codeprm.errors import BackendError, ConfigError
from codeprm.prompts import problem_prompt, prompt_style
from codeprm.records import (
    Completion,
    Problem,
    Record,
    completion_id_of,
    content_hash,
)
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.bounded import as_finished
from codeprm.steps.run import rejected
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to ask for."""

    n: int = 50
    """Completions a problem."""
    prompt_style: str = "docstring"
    """How to ask: docstring (base models) or chat (instruction-tuned ones)."""
    max_problems: int = 0
    """Only so many problems, the first ones of the dataset; 0: all."""
    seed: int = 0
    """Decides the seeds of all samples."""
    samples_per_unit: int = 512
    """A share of the work: as many problems as fit in so many samples, at least one."""
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.n < 1 or self.samples_per_unit < 1 or self.max_problems < 0:
            raise ConfigError(
                "n and samples_per_unit must be at least 1, max_problems cannot be below 0"
            )


@dataclass(frozen=True, kw_only=True)
class SampleIdentity:
    """What decides the rows: not how the engine is held, but which model it holds."""

    config: SampleConfig
    backend: str
    model: str

    @property
    def generation_id(self) -> str:
        """Names the distribution that was sampled from, and the draw."""
        parts = [
            self.backend,
            self.model,
            self.config.prompt_style,
            asdict(self.config.sampling),
            self.config.seed,
        ]
        return content_hash(json.dumps(parts, sort_keys=True), length=12)


def sample_stage(
    config: SampleConfig, backend: BackendConfig, *, data: str, out: str, workers: Workers
) -> Stage:
    """Units of whole problems; two or more in flight keep an engine full between them."""
    prompt_style(config.prompt_style)
    Directory(data).require_complete()
    identity = SampleIdentity(
        config=config, backend=backend_of(backend), model=backend_model(backend)
    )
    return Stage(
        job="sample",
        out=out,
        config=identity,
        inputs={"data": data, **model_lineage(backend)},
        tables=(Completion,),
        buckets=Directory(data).buckets,
        units=partial(sample_units, config, data),
        step=partial(SampleStep, identity, backend, data),
        workers=workers,
    )


def model_lineage(backend: BackendConfig) -> dict[str, str]:
    """The model as an input of a stage, where a job of ours made it: lineage goes through it."""
    path = getattr(backend, "model", "")
    return {"model": path} if path and Directory(path).started is not None else {}


def sample_units(config: SampleConfig, data: str) -> Iterator[Unit]:
    """Names are `part-BUCKET-RUN`; `source` says which rows of which part of the dataset."""
    directory = Directory(data)
    step = max(1, config.samples_per_unit // config.n)
    left = config.max_problems or None
    runs: dict[int, int] = {}
    for part in directory.committed():
        rows = directory.read_table(Problem, [part], ["problem_id"]).num_rows
        rows = rows if left is None else min(rows, left)
        left = None if left is None else left - rows
        bucket = int(part.split("-")[1])
        for first in range(0, rows, step):
            run = runs[bucket] = runs.get(bucket, -1) + 1
            source = {"part": part, "first": first, "last": min(first + step, rows)}
            yield Unit(name=f"part-{bucket:05d}-{run:04d}", bucket=bucket, source=source)


def seed_of(seed: int, problem_id: str, index: int) -> int:
    """31 bits, the same for the same sample on every run."""
    return int(content_hash(str(seed), problem_id, str(index), length=8), 16) >> 1


class SampleStep:
    """One engine a worker."""

    spool_key: str | None = "completion_id"

    def __init__(self, identity: SampleIdentity, backend: BackendConfig, data: str) -> None:
        self._config = identity.config
        self._model = identity.model
        self._generation_id = identity.generation_id
        self._data = Directory(data)
        self._style = prompt_style(identity.config.prompt_style)
        self._backend = build_backend(backend)

    def items(self, unit: Unit) -> Sequence[Item]:
        rows = self._data.read_records(Problem, [unit.source["part"]])
        return [
            Item(
                completion_id_of(problem.problem_id, self._generation_id, index),
                problem.problem_id,
                (problem, index),
            )
            for problem in islice(rows, unit.source["first"], unit.source["last"])
            for index in range(self._config.n)
        ]

    def process(self, items: Sequence[Item]) -> AsyncIterator[Record]:
        return as_finished((self._sample(item) for item in items), self._backend.in_flight)

    def close(self) -> None:
        self._backend.close()

    async def _sample(self, item: Item) -> Record:
        problem, index = item.value
        seed = seed_of(self._config.seed, problem.problem_id, index)
        request = Request(
            request_id=item.id,
            prompt=problem_prompt(problem, self._config.prompt_style),
            seed=seed,
            sampling=self._config.sampling,
        )
        try:
            answer = await self._backend.generate(request)
        except BackendError as error:
            return rejected(
                item.id, problem.problem_id, "backend_error", str(error), problem.statement
            )
        return Completion(
            completion_id=item.id,
            problem_id=problem.problem_id,
            index=index,
            text=answer.text,
            program=self._style.extract(answer.text, problem.starter_code),
            model=self._model,
            generation_id=self._generation_id,
            seed=seed,
            cumulative_logprob=answer.cumulative_logprob,
            num_tokens=answer.num_tokens,
            finish_reason=answer.finish_reason,
        )
