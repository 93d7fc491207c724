"""What a recipe will do and need, in words, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from codeprm.backends import backend_of
from codeprm.recipes.base import Recipe
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig
from codeprm.steps.sample import SampleConfig
from codeprm.training.config import GeneratorConfig, OrmConfig, Setup
from codeprm.training.fit import case_of, needed_gib
from codeprm.training.memory import GIB, parameter_count
from codeprm.training.plan import shape_of


def plan_lines(name: str, recipe: Recipe) -> Iterator[str]:
    """The stages in order, each with its size and what its workers ask of the cluster."""
    yield f"recipe {name}: {recipe.summary}"
    for stage, what in _stages(recipe):
        yield f"{stage}: {what}"


def _stages(recipe: Recipe) -> Iterator[tuple[str, str]]:
    crew = recipe.crew
    graders, samplers = _workers(crew.graders), _workers(crew.samplers)
    annotator = backend_of(recipe.annotator)
    annotate, verify, merge = recipe.annotate, recipe.verify, recipe.merge
    yield "prepare train", f"{_source(recipe.train)}; {graders}"
    yield "verify", f"at most {verify.max_solutions} programs a problem; {graders}"
    yield (
        "annotate",
        (
            f"at most {annotate.max_solutions} programs a problem, by {annotator} "
            f"{recipe.annotator.model}; {_workers(crew.annotators)}"
        ),
    )
    yield "train first generator", training_line(recipe.first_generator)
    yield "sample first", f"{_samples(recipe.first_samples)}; {samplers}"
    yield "merge", f"at most {merge.max_solutions} programs a problem; {graders}"
    yield "train generator", training_line(recipe.generator)
    yield "sample", f"{_samples(recipe.samples)}; {samplers}"
    yield "label", f"at most {recipe.label.cap} programs of each class a problem; {graders}"
    yield "train reward model", training_line(recipe.orm, of=recipe.generator.config)
    yield "prepare test", f"{_source(recipe.test)}; {graders}"
    yield "sample test", f"{_samples(recipe.test_samples)}; {samplers}"
    yield "score", f"every different program once; {_workers(crew.scorers)}"
    observe = recipe.observe
    yield (
        "observe test",
        f"every different program on at most {observe.max_public} public and "
        f"{observe.n_generated} generated inputs; {graders}",
    )
    yield "execute, with each sampling", graders


def training_line(
    setup: Setup[GeneratorConfig] | Setup[OrmConfig], *, of: GeneratorConfig | None = None
) -> str:
    """Size, memory a worker and resources; `of` is the generator that a classifier starts from."""
    config, scaling = setup.config, setup.scaling
    base = of or config
    shape = shape_of(base)
    optimization = config.optimization
    parts = [base.model]
    if shape is not None:
        case = case_of(setup, shape)
        state, needed = case.memory().state / GIB, needed_gib(case)
        parts += [
            f"{parameter_count(shape):,} parameters",
            f"at most {needed:.2f} GiB a worker, {state:.2f} GiB of it state",
        ]
    parts += [
        f"{optimization.epochs:g} epochs of {optimization.effective_batch} examples a step",
        f"ZeRO {scaling.zero_stage}",
        f"{scaling.workers} workers of {scaling.cpus:g} CPU and {scaling.gpus:g} GPU",
    ]
    return ", ".join(parts)


def _source(config: PrepareConfig) -> str:
    return f"{config.source or config.dataset}, split {config.split}, {config.buckets} parts"


def _samples(config: SampleConfig) -> str:
    sampling = config.sampling
    return (
        f"{config.n} completions a problem of at most {sampling.max_tokens} tokens at temperature "
        f"{sampling.temperature:g}, top-p {sampling.top_p:g}"
    )


def _workers(workers: Workers) -> str:
    pool = f" in pool {workers.pool}" if workers.pool else ""
    return (
        f"{workers.min_workers} to {workers.max_workers} workers of {workers.cpus:g} CPU and "
        f"{workers.gpus:g} GPU{pool}"
    )
