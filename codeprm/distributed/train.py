"""Training on the cluster: tables in, a checkpoint in Hugging Face layout out.

    tokenise stage -> work/tokens -> Ray Data -> Ray Train workers (DeepSpeed) -> model -> manifest

A run that is interrupted continues: Ray Train finds its last checkpoint by the run's name, which
carries the directory's identity and what the checkpoints fit (`codeprm.training.resuming`). The
directory is complete, and its `work/` gone, when the manifest is there.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ray
from ray.train import (
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
)
from ray.train.torch import TorchConfig, TorchTrainer

from codeprm.distributed.checkpoints import sweep_nodes
from codeprm.distributed.oversight import Oversight, other_runs, restore_list
from codeprm.distributed.run import run_stage
from codeprm.distributed.sampled import survey
from codeprm.distributed.session import connect, require_shared
from codeprm.distributed.train_worker import Run, train_worker
from codeprm.errors import ConfigError, UserError
from codeprm.tables import Directory, finish_directory, open_directory, start_directory
from codeprm.training.config import Following, GeneratorConfig, OrmConfig, Scaling
from codeprm.training.prepare import (
    PART,
    WORK,
    finish_preparation,
    prepare_tokenizer,
    tokenise_stage,
)
from codeprm.training.resuming import fits
from codeprm.training.room import is_full, needs_room, no_room
from codeprm.training.sample_options import SampleOptions
from codeprm.training.sampled import require_held_out
from codeprm.training.trackers import require_tracker
from codeprm.versions import versions

DEFAULT_FOLLOWING = Following()
DEFAULT_SAMPLING = SampleOptions()
POLL_S = "0.5"
Value = TypeVar("Value")

logger = logging.getLogger(__name__)


def train_generator(
    *,
    data: str,
    out: str,
    config: GeneratorConfig,
    scaling: Scaling,
    following: Following = DEFAULT_FOLLOWING,
    sampling: SampleOptions = DEFAULT_SAMPLING,
) -> dict[str, Any]:
    """Fine-tune a generator on a dataset directory's solutions; returns the manifest."""
    require_held_out(sampling, config)
    run = Run(job="train_generator", out=out, config=config, scaling=scaling, following=following)
    model = {} if config.from_scratch else {"model": config.model}
    return _train(run, {"data": data, **model}, source=data, sampling=sampling)


def train_orm(
    *,
    examples: str,
    out: str,
    config: OrmConfig,
    scaling: Scaling,
    following: Following = DEFAULT_FOLLOWING,
) -> dict[str, Any]:
    """Train the reward model on a label job's examples; returns the manifest."""
    if config.lm_weight and scaling.zero_stage == 3:
        raise ConfigError(
            "lm_weight reads the embedding outside of its layer, which ZeRO-3 has divided among "
            "the workers: set lm_weight to 0, or zero_stage to 2"
        )
    run = Run(job="train_orm", out=out, config=config, scaling=scaling, following=following)
    return _train(run, {"examples": examples, "model": config.model}, source=examples)


def _train(
    run: Run,
    inputs: Mapping[str, str],
    *,
    source: str,
    sampling: SampleOptions = DEFAULT_SAMPLING,
) -> dict[str, Any]:
    require_tracker(run.following)
    run.scaling.micro_batches(run.config.optimization.effective_batch)
    for path in inputs.values():
        require_finished(path)
    require_shared(run.out)
    directory = start_directory(run.out, job=run.job, config=run.config, inputs=inputs, buckets=1)
    if (manifest := directory.manifest) is not None:
        logger.info("%s: %s is complete, nothing to do", run.job, run.out)
        # a run that was killed while it deleted them has left some
        directory.delete(WORK)
        return manifest
    connect()
    started = time.monotonic()
    if sampling.sample_problems:
        sampled = _in_a_worker(survey, source, run.config, sampling)
        run = dataclasses.replace(run, sampled=sampled)
    if PART not in directory.committed():
        _prepare(run, source, directory)
    summary = _fit(run, directory)
    extra = {
        "wall_s": round(time.monotonic() - started, 3),
        "training": summary,
        "versions": versions(),
    }
    manifest = finish_directory(directory, expected=1, extra=extra)
    directory.delete(WORK)
    return manifest


def require_finished(path: str) -> None:
    """Directories of ours must be complete; other paths and Hub names are none of ours."""
    directory = open_directory(path)
    if directory.started is not None:
        directory.require_complete()


def _prepare(run: Run, source: str, directory: Directory) -> None:
    _in_a_worker(prepare_tokenizer, open_directory(source), directory, run.config)
    run_stage(tokenise_stage(source, run.out, run.config, workers=run.scaling.workers))
    _in_a_worker(finish_preparation, directory, run.config)


def _in_a_worker(function: Callable[..., Value], *arguments: Any) -> Value:
    """What comes before training, not in the driver: it may be a small machine."""
    try:
        value: Value = ray.get(ray.remote(num_cpus=1)(function).remote(*arguments))
        return value
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise


def _fit(run: Run, directory: Directory) -> dict[str, Any]:
    # every line that a worker prints would come twice
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
    # a checkpoint is registered, and a lost worker seen, that soon
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)
    name = f"run-{directory.identity}-{fits(run.config, run.scaling)}"
    with needs_room("the list of checkpoints", run.store):
        restore_list(directory, name)
    if others := other_runs(directory, name):
        logger.warning(
            "%s: the checkpoints in %s (%s) do not fit, so training begins anew; they fit the "
            "workers, ZeRO stage, packing and devices that they were made with",
            run.job, run.store, ", ".join(others),
        )  # fmt: skip
    try:
        summary: dict[str, Any] = _trainer(run, directory, name).fit().return_value
    except TrainingFailedError as error:
        sweep_nodes(run.store)
        if (told := _told(error, run)) is not None:
            raise told from None
        raise
    if (diverged := summary.get("diverged")) is not None:
        raise ConfigError(diverged)
    return summary


def _told(error: TrainingFailedError, run: Run) -> UserError | None:
    """What of a failure the user can mend."""
    failures = list(getattr(error, "worker_failures", {}).values())
    if isinstance(error, ControllerError):
        failures.append(error.controller_failure)
    for failure in failures:
        if isinstance(failure, UserError):
            return failure
        if isinstance(failure, OSError) and is_full(failure, run.store):
            if isinstance(error, ControllerError):
                # of files it writes no other
                return no_room("the list of checkpoints", run.store)
            return no_room("training", "a worker's machine")
    return None


def _trainer(run: Run, directory: Directory, name: str) -> TorchTrainer:
    scaling = run.scaling
    return TorchTrainer(
        train_worker,
        train_loop_config={"run": run},
        scaling_config=scaling_config(scaling),
        torch_config=TorchConfig(backend="nccl" if scaling.gpus else "gloo"),
        run_config=RunConfig(
            name=name,
            storage_path=directory.path(WORK),
            storage_filesystem=directory.fs,
            failure_config=FailureConfig(max_failures=scaling.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=scaling.checkpoints_kept),
            callbacks=[Oversight(directory, name)],
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )


def scaling_config(scaling: Scaling) -> ScalingConfig:
    """What the run asks of the cluster; a CPU run asks for no GPU."""
    resources: dict[str, float] = {"CPU": scaling.cpus}
    if scaling.gpus:
        resources["GPU"] = scaling.gpus
    return ScalingConfig(
        num_workers=scaling.workers,
        use_gpu=scaling.gpus > 0,
        resources_per_worker=resources,
        label_selector={"pool": scaling.pool} if scaling.pool else None,
    )
