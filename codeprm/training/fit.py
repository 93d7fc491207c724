"""Whether a training run fits a GPU, and if not, the nearest changes with which it does.

    Case + GPU -> peak memory, fits or not, changes that fit

A change is found by computing it: each kind (fewer tokens a pass, checkpointing, a higher ZeRO
stage, more workers, offload, fewer trained parameters, another GPU) is tried alone, mildest first,
and the first of a kind that fits is named. Where none does alone, they are tried together.

A GPU's size is what CUDA reports of it. Of that, `CONTEXT_GIB` goes to the contexts of CUDA and
NCCL and `FRAGMENTED` of what is used to the allocator's fragments; both are allowances, not
measurements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from codeprm.errors import ConfigError
from codeprm.training.config import GeneratorConfig, Lora, OrmConfig, Scaling, Setup, Shape
from codeprm.training.memory import GIB, Memory, Work, memory_of
from codeprm.training.probe import BATCH_TOKENS

GPUS: Mapping[str, float] = MappingProxyType(
    {
        "a10g-24": 22.0,
        "a100-40": 39.4,
        "l40s-48": 44.4,
        "a100-80": 79.1,
        "h100-80": 79.1,
        "h200": 139.7,
        "b200": 178.3,
    }
)
CONTEXT_GIB = 1.5
FRAGMENTED = 0.05
WORKERS = (2, 4, 8, 16, 32, 64)
SMALLEST_PASS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run as far as its memory goes."""

    shape: Shape
    scaling: Scaling
    effective_batch: int
    max_length: int
    is_generator: bool
    has_logits: bool = True
    lora: Lora | None = None
    is_frozen: bool = False

    @property
    def tokens(self) -> int:
        """Most tokens of one pass of a worker."""
        if self.is_frozen:
            return BATCH_TOKENS
        return pass_tokens(self.scaling, self.effective_batch, self.max_length)

    @property
    def work(self) -> Work:
        """What a worker does at a time."""
        return Work(self.tokens, self.has_logits, self.lora, self.is_frozen)

    def memory(self) -> Memory:
        """Of one worker."""
        return memory_of(self.shape, self.scaling, self.work)


class Change(NamedTuple):
    """Settings that differ, in words, and the run with them."""

    words: str
    case: Case


class Fit(NamedTuple):
    """Whether a case fits a GPU; `changes` has what would, where it does not."""

    gpu: str
    needed_gib: float
    available_gib: float
    changes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.needed_gib <= self.available_gib

    def lines(self) -> list[str]:
        """What `--gpu` adds to a plan."""
        sizes = f"{self.needed_gib:.1f} of {self.available_gib:.1f} GiB"
        if self.fits:
            return [f"gpu: fits {self.gpu}, {sizes} a worker"]
        would = [f"would fit: {change}" for change in self.changes]
        return [
            f"gpu: does not fit {self.gpu}, {sizes} a worker",
            *(would or ["would fit: nothing that is known here"]),
        ]


def case_of(setup: Setup[GeneratorConfig] | Setup[OrmConfig], shape: Shape) -> Case:
    """Of a training job."""
    config = setup.config
    is_generator = isinstance(config, GeneratorConfig)
    return Case(
        shape=shape,
        scaling=setup.scaling,
        effective_batch=config.optimization.effective_batch,
        max_length=config.max_length,
        is_generator=is_generator,
        has_logits=is_generator or (isinstance(config, OrmConfig) and config.lm_weight > 0),
        lora=config.lora if isinstance(config, GeneratorConfig) else None,
        is_frozen=isinstance(config, OrmConfig) and config.trunk == "frozen",
    )


def pass_tokens(scaling: Scaling, effective_batch: int, max_length: int) -> int:
    """Most tokens of one forward pass of a worker."""
    if scaling.packing != "padded":
        return scaling.tokens_per_pass
    passes = scaling.micro_batches(effective_batch)
    return effective_batch // (scaling.workers * passes) * max_length


def fit_of(case: Case, gpu: str) -> Fit:
    """Of a case on a GPU of the table, with the changes that would fit if it does not."""
    available = gpu_gib(gpu)
    needed = needed_gib(case)
    changes = () if needed <= available else tuple(_fitting(case, gpu))
    return Fit(gpu, needed, available, changes)


def gpu_gib(gpu: str) -> float:
    """Memory of a GPU; an unknown name lists the known ones."""
    if gpu not in GPUS:
        raise ConfigError(f"no GPU {gpu!r}: choose one of {', '.join(GPUS)}")
    return GPUS[gpu]


def needed_gib(case: Case) -> float:
    """Peak of a worker, with the allowances where it has a GPU."""
    peak = case.memory().peak / GIB
    return peak * (1 + FRAGMENTED) + CONTEXT_GIB if case.scaling.gpus else peak


def _fitting(case: Case, gpu: str) -> Iterator[str]:
    limit, alone = GPUS[gpu], 0
    for kind in _kinds(case):
        found = next((change for change in kind if needed_gib(change.case) <= limit), None)
        if found is not None:
            alone += 1
            yield f"{found.words} ({needed_gib(found.case):.1f} GiB)"
    if not alone:
        yield from _together(case, limit)
    larger = sorted((gib, name) for name, gib in GPUS.items() if gib > limit)
    for gib, name in larger:
        if needed_gib(case) <= gib:
            yield f"{_a(name)} and nothing else changed ({needed_gib(case):.1f} GiB)"
            return


def _kinds(case: Case) -> Iterator[list[Change]]:
    """Changes alone, by kind; those of a kind come mildest first."""
    if case.is_frozen:
        return
    yield list(_fewer_tokens(case))
    if not case.scaling.activation_checkpointing:
        yield [_scaled(case, "activation_checkpointing", activation_checkpointing=True)]
    stages = range(case.scaling.zero_stage + 1, 4)
    yield [_scaled(case, f"zero_stage {stage}", zero_stage=stage) for stage in stages]
    yield list(_more_workers(case))
    if not case.scaling.offload_optimizer:
        yield [_offloaded(case)]
    if case.is_generator and case.lora is None:
        yield [Change("lora.rank 16", replace(case, lora=Lora()))]
    if not case.is_generator:
        yield [Change("trunk frozen", replace(case, is_frozen=True, has_logits=False))]


def _fewer_tokens(case: Case) -> Iterator[Change]:
    scaling = case.scaling
    if scaling.packing == "padded":
        micro_batch = scaling.micro_batch // 2
        while micro_batch:
            yield _scaled(case, f"micro_batch {micro_batch}", micro_batch=micro_batch)
            micro_batch //= 2
        return
    tokens = scaling.tokens_per_pass // 2
    # one example must fit a pass
    while tokens >= max(case.max_length, SMALLEST_PASS):
        yield _scaled(case, f"tokens_per_pass {tokens}", tokens_per_pass=tokens)
        tokens //= 2


def _more_workers(case: Case) -> Iterator[Change]:
    for workers in WORKERS:
        if workers > case.scaling.workers and case.effective_batch % workers == 0:
            yield _scaled(case, f"workers {workers}", workers=workers)
    if case.scaling.zero_stage < 3:
        for workers in WORKERS:
            if workers > case.scaling.workers and case.effective_batch % workers == 0:
                words = f"workers {workers}, zero_stage 3"
                yield _scaled(case, words, workers=workers, zero_stage=3)


def _offloaded(case: Case) -> Change:
    stage = max(case.scaling.zero_stage, 1)
    change = _scaled(case, "", offload_optimizer=True, zero_stage=stage)
    host = change.case.memory().host / GIB
    words = "offload_optimizer" + (f", zero_stage {stage}" if not case.scaling.zero_stage else "")
    return Change(f"{words}, with {host:.0f} GiB of the host's memory a worker", change.case)


def _together(case: Case, limit: float) -> Iterator[str]:
    """What changes no weight that is trained, all at once: nothing, or the mildest that fits."""
    if case.is_frozen:
        return
    start = _scaled(case, "", activation_checkpointing=True, zero_stage=3).case
    base = ["zero_stage 3"] if case.scaling.zero_stage < 3 else []
    base += [] if case.scaling.activation_checkpointing else ["activation_checkpointing"]
    fewer = list(_fewer_tokens(start))
    smaller = fewer[-1] if fewer else Change("", start)
    base += [smaller.words] if smaller.words else []
    for change in [
        Change("", smaller.case),
        _offloaded(smaller.case),
        *_more_workers(smaller.case),
    ]:
        if needed_gib(change.case) <= limit:
            words = ", ".join([*base, *([change.words] if change.words else [])])
            yield f"{words} ({needed_gib(change.case):.1f} GiB)"
            return


def _scaled(case: Case, words: str, **changes: object) -> Change:
    scaling = replace(case.scaling, **changes)  # type: ignore[arg-type]
    return Change(words, replace(case, scaling=scaling))


def _a(gpu: str) -> str:
    return f"an {gpu}" if gpu[0] in "ahl" else f"a {gpu}"
