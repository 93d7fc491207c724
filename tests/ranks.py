"""Training on ranks that are plain processes: tiny models, every ZeRO stage, no Ray.

`python -m tests.ranks RANK WORKERS STORE OUT [STAGE ...]` is one rank of `WORKERS`; the ranks of a
group meet in the file STORE and rank 0 writes what each run told and learnt to OUT.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from codeprm.training.batches import Division, Indices, plan_steps
from codeprm.training.config import Optimization, OrmConfig, Scaling, Shape
from codeprm.training.corpus import Corpus
from codeprm.training.engine import (
    StepReport,
    deepspeed_config,
    full_weights,
    prepare_process,
    start_engine,
    train,
)
from codeprm.training.generator import GeneratorObjective
from codeprm.training.loading import load_batch
from codeprm.training.models import new_generator
from codeprm.training.orm import RewardObjective
from codeprm.training.packed_models import packed_classifier_module, packed_generator_module
from codeprm.training.packing import Packing

STEPS = 6
SHAPE = Shape(vocab_size=40, hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=48)
OPTIMIZATION = Optimization(
    learning_rate=3e-3, effective_batch=8, warmup_steps=1, weight_decay=0.1, max_grad_norm=0.5
)
KINDS = ("generator", "orm")


def corpus(n_problems: int = 8, n_programs: int = 4) -> Corpus:
    """Programs of random tokens behind the prompts of their problems, half of them passing."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(1, 40, rng.integers(4, 9)) for _ in range(n_problems)]
    programs = [rng.integers(1, 40, rng.integers(3, 12)) for _ in range(n_problems * n_programs)]
    problems = np.repeat(np.arange(n_problems), n_programs)
    rows = [
        np.concatenate([prompts[problem], programs[row]]) for row, problem in enumerate(problems)
    ]
    n = len(rows)
    return Corpus(
        ids=np.concatenate(rows).astype(np.uint16),
        lengths=np.array([len(row) for row in rows]),
        prompt_lengths=np.array([len(prompts[problem]) for problem in problems]),
        problems=problems,
        labels=np.arange(n) % 2,
        weights=rng.uniform(0.5, 2.0, n),
        held_out=np.zeros(n, dtype=np.bool_),
    )


def started(kind: str, data: Corpus, packing: Packing) -> tuple[Any, Any, Any]:
    """A model, the module that trains it, and its objective; the same on every rank."""
    import torch
    from transformers import Starcoder2ForSequenceClassification

    torch.manual_seed(0)
    model = new_generator(SHAPE, SHAPE.vocab_size, 0, "float32")
    longest = int(data.lengths.max())
    if kind == "generator":
        module = packed_generator_module(model, longest=longest)
        return model, module, GeneratorObjective(packing)
    model.config.num_labels = 2
    classifier = Starcoder2ForSequenceClassification(model.config)
    module = packed_classifier_module(classifier, with_lm=False, longest=longest)
    objective = RewardObjective(OrmConfig(model="", losses={"ce": 1.0}), packing)
    return classifier, module, objective


def units_of(kind: str, data: Corpus) -> list[Indices]:
    """Single rows of a generator, programs of a problem together for a reward model."""
    if kind == "generator":
        return [np.array([row]) for row in range(len(data))]
    return [np.flatnonzero(data.problems == problem) for problem in np.unique(data.problems)]


def trained(kind: str, workers: int, stage: int) -> tuple[list[StepReport], dict[str, Any]]:
    """Reports of all steps and, on rank 0, the weights after them."""
    scaling = Scaling(
        workers=workers, gpus=0.0, threads=1, micro_batch=8, zero_stage=stage,
        activation_checkpointing=False,
    )  # fmt: skip
    prepare_process(scaling, OPTIMIZATION.seed)
    data = corpus()
    # a budget that makes several passes a rank, and not all as full
    packing = Packing(budget=45, workers=workers, share=kind == "orm")
    model, module, objective = started(kind, data, packing)
    settings = deepspeed_config(OPTIMIZATION, scaling)
    engine = start_engine(module, settings, OPTIMIZATION.weight_decay)
    division = Division(OPTIMIZATION.effective_batch, workers, 1)
    plan = plan_steps(units_of(kind, data), data.lengths, steps=STEPS, division=division, seed=0)
    batches = (load_batch(step, data.take, packing) for step in plan)
    reports = train(engine, objective, batches, start=0, steps=STEPS, optimization=OPTIMIZATION)
    return list(_finite(reports)), full_weights(engine, model)


def _finite(reports: Iterator[Any]) -> Iterator[StepReport]:
    for report in reports:
        assert isinstance(report, StepReport), report
        yield report


def main(rank: int, workers: int, store: str, out: Path, stages: list[int]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(workers), "LOCAL_RANK": str(rank)}
    import torch.distributed as dist
    from safetensors.numpy import save_file

    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=workers)
    told = {}
    for kind in KINDS:
        for stage in stages:
            reports, weights = trained(kind, workers, stage)
            told[f"{kind}-{stage}"] = {
                "losses": [report.loss for report in reports],
                "norms": [report.grad_norm for report in reports],
            }
            if rank == 0:
                arrays = {name: weight.numpy() for name, weight in weights.items()}
                save_file(arrays, out / f"{kind}-{stage}.safetensors")
    if rank == 0:
        (out / "told.json").write_text(json.dumps(told))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(
        int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]),
        [int(stage) for stage in sys.argv[5:]],
    )  # fmt: skip
