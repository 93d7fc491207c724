"""One rank of a training run, inside a Ray Train worker.

Starts or resumes the engine, carries its steps and, at the end, puts the finished model into the
run's directory from rank 0 (`codeprm.training.export`). What is told of a step is decided in
`codeprm.training.following`, what is held out is looked at by `codeprm.training.looks`, checkpoints
are handed to Ray Train by `codeprm.distributed.checkpoints`.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from codeprm.backends.checkpoint import local_checkpoint
from codeprm.distributed.batch_stream import shared_batches
from codeprm.distributed.checkpoints import Checkpoints, no_traceback
from codeprm.distributed.sampled import sampler_of
from codeprm.tables import Directory
from codeprm.training.batches import Step, plan_steps
from codeprm.training.config import (
    FROM_SCRATCH,
    Following,
    GeneratorConfig,
    OrmConfig,
    Scaling,
)
from codeprm.training.corpus import Index
from codeprm.training.engine import (
    Diverged,
    Task,
    deepspeed_config,
    division_of,
    full_weights,
    prepare_process,
    sharded_loading,
    start_engine,
    train,
)
from codeprm.training.export import export
from codeprm.training.follower import Follower, tracker_of
from codeprm.training.following import (
    NAMED_EXAMPLES,
    History,
    Progress,
    divergence,
    work_of,
)
from codeprm.training.frozen import fit_frozen
from codeprm.training.generator import build_generator
from codeprm.training.held_out import HeldOut, judge_held_out, natural_rate_of
from codeprm.training.looks import reward_numbers
from codeprm.training.orm import build_orm, held_out_margins
from codeprm.training.packing import check_budget, packing_of
from codeprm.training.prepare import WORK, read_corpus, read_tokenizer
from codeprm.training.sampled import SampledProblems, Sampler, sampled_of
from codeprm.training.token_files import StoredCorpus

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every worker is told."""

    job: str
    out: str
    config: GeneratorConfig | OrmConfig
    scaling: Scaling
    following: Following = field(default_factory=Following)
    sampled: SampledProblems | None = None

    @property
    def store(self) -> str:
        """Where its checkpoints are while it trains."""
        return f"{self.out}/{WORK}"


def train_worker(settings: dict[str, Any]) -> dict[str, Any]:
    """Train and export; returns what the manifest tells of it, or where the loss diverged."""
    # two lines a checkpoint and rank, which name temporary folders
    logging.getLogger("ray.train").setLevel(logging.WARNING)
    # Ray Train's own lines stay at warnings; these are what a user waits for
    logging.getLogger("codeprm.train").setLevel(logging.INFO)
    with no_traceback():
        return _train_and_export(settings["run"])


def _train_and_export(run: Run) -> dict[str, Any]:
    directory = Directory(run.out)
    index = read_corpus(directory)
    if isinstance(run.config, OrmConfig) and run.config.trunk == "frozen":
        return _fit_head(run, run.config, directory, index)
    task, engine = _start(run, directory, index)
    steps = run.config.optimization.steps(sum(map(len, task.units)))
    checkpoints = Checkpoints(run.store)
    history = checkpoints.resume(engine)
    follower = _follower(run, directory, index, task, engine, steps, history)
    try:
        diverged = _train(run, directory, follower, steps, checkpoints)
        checkpoints.finish()
        if diverged is not None:
            named = index.files.names(np.array(diverged.rows[:NAMED_EXAMPLES]))
            return {"diverged": divergence(run.job, run.out, diverged, named)}
        return _finish(run, follower, directory)
    finally:
        follower.tracker.close()


def _follower(
    run: Run,
    directory: Directory,
    index: StoredCorpus,
    task: Task,
    engine: Any,
    steps: int,
    history: History,
) -> Follower:
    import torch.distributed as dist

    rank = dist.get_rank()
    sampler: Sampler | None = None
    if run.sampled is not None and isinstance(run.config, GeneratorConfig):
        sampler = sampler_of(run.sampled, run.config, directory, rank)
    tracker = tracker_of(
        rank=rank,
        following=run.following,
        directory=directory,
        job=run.job,
        start=len(history.steps),
        config=dataclasses.asdict(run.config),
    )
    return Follower(
        config=run.config,
        scaling=run.scaling,
        following=run.following,
        task=task,
        engine=engine,
        index=index,
        history=history,
        progress=Progress(job=run.job, steps=steps, is_silent=rank > 0),
        tracker=tracker,
        work=work_of(task.model),
        sampler=sampler,
    )


def _train(
    run: Run, directory: Directory, follower: Follower, steps: int, checkpoints: Checkpoints
) -> Diverged | None:
    """The steps that are left; why they ended early, if they did."""
    start = len(follower.history.steps)
    plan = _plan(run, follower.task, follower.index, steps)
    packing = packing_of(run.config, run.scaling)
    if packing is not None:
        check_budget(plan, follower.index, packing)
    reports = train(
        follower.engine,
        follower.task.objective,
        shared_batches(directory, plan[start:], follower.index.lengths, packing),
        start=start,
        steps=steps,
        optimization=run.config.optimization,
    )
    for report in reports:
        if isinstance(report, Diverged):
            return report
        done = follower.tell(report)
        if done == steps:
            break
        follower.look_if_due()
        if done % run.scaling.checkpoint_every == 0:
            follower.tracker.save()
            checkpoints.save(follower.engine, follower.history)
    return None


def _finish(run: Run, follower: Follower, directory: Directory) -> dict[str, Any]:
    """What is held out, then the model and its card into the directory; the summary."""
    engine, index, history = follower.engine, follower.index, follower.history
    held_out: HeldOut | None = None
    if isinstance(run.config, OrmConfig):
        margins = held_out_margins(engine, index, packing_of(run.config, run.scaling))
        held_out = judge_held_out(index, margins, natural_rate_of(directory))
        follower.record(reward_numbers(index, margins, run.config))
    else:
        follower.record(follower.look(len(index)))
        follower.sample()
        follower.tell_sampled()
    last = history.looks[-1] if history.looks else {}
    rows = np.concatenate(follower.task.units)
    summary: dict[str, Any] = {
        "examples": len(rows),
        "problems": len(np.unique(index.problems[rows])),
        "steps": len(history.steps),
        "final_loss": history.losses[-1],
        **({"held_out_loss": last["held_out/loss"]} if "held_out/loss" in last else {}),
        **sampled_of(last),
        **(held_out.metrics if held_out else {}),
    }
    training = summary | history.to_json()
    weights = full_weights(engine, follower.task.model)
    _export(run, follower.task.model, weights, directory, training=training, held_out=held_out)
    return summary


def _fit_head(
    run: Run, config: OrmConfig, directory: Directory, index: StoredCorpus
) -> dict[str, Any]:
    """A head on the trunk as it is; there are no steps, so an interrupted run begins anew."""
    import torch
    from ray.train.torch import get_device

    prepare_process(run.scaling, config.optimization.seed)
    device, is_gpu = get_device(), run.scaling.gpus > 0
    if is_gpu:
        torch.cuda.set_device(device)
    tokenizer = read_tokenizer(directory)
    local = dataclasses.replace(config, model=local_checkpoint(config.model))
    dtype = "bfloat16" if is_gpu else "float32"
    frozen = fit_frozen(local, index, tokenizer, dtype=dtype, device=device)
    held_out = judge_held_out(index, frozen.margins, natural_rate_of(directory))
    summary = frozen.facts | held_out.metrics
    training = summary | History().to_json()
    _export(run, frozen.model, frozen.weights, directory, training=training, held_out=held_out)
    return summary


def _plan(run: Run, task: Task, index: Index, steps: int) -> list[Step]:
    """All steps of the run; which examples, not yet how they are packed."""
    optimization = run.config.optimization
    division = division_of(optimization, run.scaling)
    return list(
        plan_steps(
            task.units, index.lengths, steps=steps, division=division, seed=optimization.seed
        )
    )


def _start(run: Run, directory: Directory, index: StoredCorpus) -> tuple[Task, Any]:
    optimization, scaling = run.config.optimization, run.scaling
    packing = packing_of(run.config, scaling)
    prepare_process(scaling, optimization.seed)
    settings = deepspeed_config(optimization, scaling)
    tokenizer = read_tokenizer(directory)
    dtype = "bfloat16" if scaling.gpus else "float32"
    is_loaded = run.config.model != FROM_SCRATCH
    shards = sharded_loading(settings) if scaling.zero_stage == 3 and is_loaded else None
    config = dataclasses.replace(run.config, model=local_checkpoint(run.config.model))
    if isinstance(config, OrmConfig):
        task = build_orm(config, index, tokenizer, dtype, packing)
    else:
        task = build_generator(config, index, tokenizer, dtype, packing)
    del shards
    if scaling.activation_checkpointing:
        task.model.gradient_checkpointing_enable()
    return task, start_engine(task.module, settings, optimization.weight_decay)


def _export(
    run: Run,
    model: Any,
    weights: dict[str, torch.Tensor],
    directory: Directory,
    *,
    training: dict[str, Any],
    held_out: HeldOut | None,
) -> None:
    """From rank 0, while the others wait."""
    import torch.distributed as dist

    if dist.get_rank() == 0:
        export(
            run.job,
            run.config,
            directory,
            model=model,
            weights=weights,
            training=training,
            held_out=held_out,
        )
    dist.barrier()
