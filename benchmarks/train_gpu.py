"""Tokens a second, useful MFU and memory of each way to train a reward model, on one GPU.

    python benchmarks/train_gpu.py --data FOLDER                # StarCoder2 3b, bf16, one GPU
    python benchmarks/train_gpu.py --model tiny --problems 2    # the same on a CPU, to try it

The arms of `train_orm` take turns, each with fresh weights of the model's shape (their values do
not matter here) under DeepSpeed as a job has it: bf16 with float32 master weights on a GPU, one
process. Useful tokens are those of the examples, each counted once an example; MFU is of them. The
last line of stdout is the result.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.corpora import WIDE, read_texts
from benchmarks.host import logger, rounded, spread
from benchmarks.orm_arms import ARMS, Arm, Sizes, new_module
from benchmarks.train_orm import REFERENCE_LENGTH, rows_of_typical_problems
from codeprm.cli import run
from codeprm.errors import ConfigError
from codeprm.places import Place
from codeprm.training.batches import Indices
from codeprm.training.config import Optimization, Scaling, Shape
from codeprm.training.corpus import Corpus
from codeprm.training.engine import deepspeed_config, prepare_process, start_engine
from codeprm.training.following import devices_of, memory_gib, useful_flops, work_of
from codeprm.training.plan import STARCODER2_SHAPES

TINY = replace(WIDE, hidden_size=64, heads=2, kv_heads=1, intermediate_size=128)
MODELS: dict[str, Shape] = {
    "tiny": TINY,
    **{name.partition("/")[2]: shape for name, shape in STARCODER2_SHAPES.items()},
}


@dataclass(frozen=True, kw_only=True)
class Args:
    """Train some steps of each arm on one GPU."""

    data: Place = ""
    """Folder with problems.jsonl.gz and attempts.jsonl.gz; empty: mini-TACO."""
    model: str = "starcoder2-3b"
    """Shape of the model: starcoder2-3b, -7b, -15b, or tiny."""
    rounds: int = 3
    """Turns of each arm, all over the same examples."""
    problems: int = 8
    """Problems, from short to long ones, whose programs are one step."""
    programs: int = 16
    """Programs of a problem."""
    budget: int = 16384
    """Most tokens of a packed pass."""
    micro_batch: int = 8
    """Rows that are padded to the longest of them."""
    pad_to: int = REFERENCE_LENGTH
    """Tokens that the reference fills every row up to."""
    zero_stage: int = 1
    """Of DeepSpeed."""
    checkpointing: bool = True
    """Recompute activations in the backward pass."""
    seed: int = 0
    """Which problems and programs, and the first weights."""


class Turn(NamedTuple):
    """One arm's step of a round."""

    seconds: float
    tokens: int
    """That the layers computed."""


def main(args: Args) -> None:
    import torch

    if args.model not in MODELS:
        raise ConfigError(f"no model {args.model!r}: choose one of {', '.join(MODELS)}")
    is_gpu = torch.cuda.is_available()
    if not is_gpu and args.model != "tiny":
        raise ConfigError(f"no GPU is here to train {args.model} on: give --model tiny to try it")
    facts = host.facts()
    texts = read_texts(args.data, seed=args.seed)
    corpus, rows = rows_of_typical_problems(
        texts, problems=args.problems, programs=args.programs, seed=args.seed
    )
    scaling = Scaling(
        workers=1, gpus=float(is_gpu), micro_batch=args.micro_batch, zero_stage=args.zero_stage,
        activation_checkpointing=args.checkpointing,
    )  # fmt: skip
    prepare_process(scaling, args.seed)
    with one_process(is_gpu):
        arms = {name: measured(args, name, scaling, corpus, rows) for name in ARMS}
        device = devices_of(torch.device("cuda" if is_gpu else "cpu"), 1).name
    print_arms(args, device, arms, facts)


def print_arms(args: Args, device: str, arms: dict[str, Any], facts: dict[str, Any]) -> None:
    shared, packed = (arms[name]["examples_per_s"]["median"] for name in ("shared", "packed"))
    reference = arms["reference"]["examples_per_s"]["median"]
    host.print_result(
        {
            "benchmark": "train_gpu",
            "data": "real programs" if args.data else "mini-TACO",
            "model": args.model,
            "device": device,
            "examples": args.problems * args.programs,
            "arms": arms,
            "shared_over_packed": rounded(shared / packed),
            "shared_over_reference": rounded(shared / reference),
            "host": facts,
            "bars": {},
        }
    )


class EngineArm(Arm):
    """An arm whose module and optimizer are DeepSpeed's."""

    def __init__(self, args: Args, name: str, scaling: Scaling) -> None:
        self.name = name
        self.sizes = Sizes(args.pad_to, args.micro_batch, args.budget)
        module = new_module(name, MODELS[args.model], self.sizes, seed=args.seed)
        if args.checkpointing:
            module.model.gradient_checkpointing_enable()
        self.work = work_of(module.model)
        optimization = Optimization(effective_batch=args.micro_batch)
        settings = deepspeed_config(optimization, scaling)
        self.module = start_engine(module, settings, optimization.weight_decay)
        self.device = self.module.device

    def backward(self, loss: Any, *, is_last: bool) -> None:
        self.module.set_gradient_accumulation_boundary(is_last)
        self.module.backward(loss)
        self.module.step()


def measured(
    args: Args, name: str, scaling: Scaling, corpus: Corpus, rows: Indices
) -> dict[str, Any]:
    """One arm: only one model is on the GPU at a time, so its rounds follow each other."""
    import torch

    arm = EngineArm(args, name, scaling)
    # one step of few rows first, untimed: kernels are compiled, the optimizer makes its state
    arm.step(corpus, rows[:2])
    if arm.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    turns = [timed(arm, corpus, rows) for _ in range(args.rounds)]
    lengths = corpus.lengths[rows]
    peak = devices_of(arm.device, 1).peak_flops
    flops = useful_flops(lengths, arm.work)
    figures = {
        "examples_per_s": spread([len(rows) / turn.seconds for turn in turns]),
        "useful_tokens_per_s": spread([float(lengths.sum()) / turn.seconds for turn in turns]),
        "useful_mfu": spread([flops / turn.seconds / peak for turn in turns]) if peak else None,
        "tokens_computed": turns[0].tokens,
        "peak_gib": rounded(memory_gib(arm.device)),
    }
    del arm
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return figures


def timed(arm: Arm, corpus: Corpus, rows: Indices) -> Turn:
    tokens = arm.tokens(corpus, rows)
    started = time.perf_counter()
    # the loss is read, so the GPU is done
    arm.step(corpus, rows)
    turn = Turn(time.perf_counter() - started, tokens)
    logger.info("%s: %d tokens, %.1f s", arm.name, turn.tokens, turn.seconds)
    return turn


@contextmanager
def one_process(is_gpu: bool) -> Iterator[None]:
    """A process group of this process alone."""
    import torch.distributed as dist

    # DeepSpeed asks for what a launcher would have set
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    backend = "nccl" if is_gpu else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    run(main, Args)
