"""Does a reward model learn from real programs what holds for problems that it has not seen?

    python benchmarks/real_orm.py --data FOLDER

Four folds by md5 of the problem's name. For each, with the product's own jobs: a StarCoder2 is
trained from nothing on right programs of the other folds, its tokenizer too; the reward model
starts from it and learns from right and wrong programs of the same folds; then every attempt of
the fold is scored by `score`. The mean over folds of the global AUC is held against minus the
program's length, and a logistic model of length against one of length and margin, which are fitted
on the other folds' programs and the margins that these got when they were left out. Intervals are
95 %, over problems. The last line of stdout is the result.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.host import logger, rounded
from benchmarks.real_figures import Judged, auc_within, figures_of, global_auc
from benchmarks.real_tables import (
    Attempt,
    by_problem,
    drawn_problems,
    fold_of,
    read_attempts,
    write_completions,
    write_examples,
    write_problems,
    write_solutions,
)
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.errors import ConfigError
from codeprm.places import Place
from codeprm.records import Score
from codeprm.steps.base import Workers
from codeprm.tables import Directory
from codeprm.training.config import (
    FROM_SCRATCH,
    GeneratorConfig,
    Optimization,
    OrmConfig,
    Scaling,
    Shape,
)

MIN_AUC = 0.60
MAX_S = 40 * 60
HEAD_SIZE = 32
HEADS_A_KEY = 2
MICRO_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Args:
    """Train a reward model for each fold of real problems, and measure it on the fold."""

    data: Place
    """Folder with problems.jsonl.gz and attempts.jsonl.gz."""
    out: Place = ""
    """Folder that keeps the runs, and lets an interrupted benchmark go on; empty: a temporary one
    that is removed."""
    folds: int = 4
    """Parts of the problems."""
    first_bit: int = 0
    """Bits at the end of md5 that are left out before it is divided."""
    only: tuple[int, ...] = ()
    """Folds that are measured; none: all."""
    hidden: int = 192
    """Width of the models."""
    layers: int = 4
    """Their layers."""
    vocab: int = 2048
    """Tokens."""
    max_length: int = 2048
    """Longest prompt and program together, in tokens."""
    solutions: int = 24
    """Right programs of each problem that the generator learns from, at most."""
    generator_epochs: float = 2.0
    """Passes over them."""
    generator_rate: float = 2e-3
    """Its learning rate."""
    programs: int = 48
    """Programs of each problem that the reward model learns from, at most."""
    epochs: float = 2.0
    """Passes over them."""
    rate: float = 3e-4
    """Its learning rate."""
    decay: float = 0.1
    """Weight decay of both."""
    ce: float = 1.0
    """Weight of the loss over programs."""
    listwise: float = 0.0
    """Weight of the loss over all programs of a problem in a pass."""
    lm: float = 0.5
    """Weight of the next-token loss on right programs."""
    smoothing: float = 0.0
    """Label smoothing, of both classes."""
    group: int = 16
    """Programs of a problem that stay together."""
    batch: int = 64
    """Examples a step of the reward model."""
    trunk: str = "trained"
    """`frozen`: fit a linear probe instead."""
    held_out: float = 0.0
    """Share of the problems that the reward model could learn from and does not, to choose
    settings by; they are scored too."""
    workers: int = 2
    """Processes that train, with a core each."""
    seed: int = 0
    """Of every draw."""


class Measured(NamedTuple):
    """A fold's programs with their margins, those of held-out problems, seconds a stage."""

    fold: int
    judged: Judged
    held_out: Judged | None
    seconds: dict[str, float]
    trained: dict[str, Any]


def main(args: Args) -> None:
    facts, started = host.facts(), time.monotonic()
    attempts = read_attempts(args.data)
    folds: dict[int, list[Attempt]] = {number: [] for number in range(args.folds)}
    for attempt in attempts:
        folds[fold_of(attempt.problem.name, args.folds, args.first_bit)].append(attempt)
    empty = [number for number, own in folds.items() if not own]
    wanted = [n for n in folds if n not in empty and (not args.only or n in args.only)]
    if len(folds) - len(empty) < 2 or not wanted:
        raise ConfigError("problems fall into fewer than two folds, or none of them is asked for")
    with ExitStack() as stack:
        out = args.out or stack.enter_context(tempfile.TemporaryDirectory(prefix="codeprm-real-"))
        stack.callback(_disconnect)
        found = [measured(args, number, folds, f"{out}/fold-{number}") for number in wanted]
    seconds = time.monotonic() - started
    result = {
        "benchmark": "real_orm",
        "settings": _settings(args),
        "n_attempts": len(attempts),
        "n_problems": len(by_problem(attempts)),
        "empty_folds": empty,
        "folds": [fold_figures(one) for one in found],
        **figures_of([one.judged for one in found]),
        "wall_s": rounded(seconds),
        "host": facts,
    }
    host.print_result(result | {"bars": bars(result)})


def bars(result: Mapping[str, Any]) -> dict[str, bool]:
    with_a_program = result["with_a_program"]
    return {
        "global_auc": result["all"]["global_auc"]["orm"]["value"] >= MIN_AUC,
        "global_auc_with_a_program": with_a_program["global_auc"]["orm"]["value"] >= MIN_AUC,
        "wall_s": result["wall_s"] <= MAX_S,
    }


# -- one fold ------------------------------------------------------------------------------------


def measured(args: Args, number: int, folds: Mapping[int, Sequence[Attempt]], out: str) -> Measured:
    """Train on the other folds, score the fold."""
    from codeprm.distributed.train import train_generator, train_orm

    others = [attempt for fold, own in folds.items() if fold != number for attempt in own]
    unseen = drawn_problems(others, args.held_out, seed=args.seed)
    left_out = [attempt for attempt in others if attempt.problem_id in unseen]
    right = [attempt for attempt in others if attempt.problem_id not in unseen]
    solutions = write_solutions(f"{out}/solutions", right, most=args.solutions, seed=args.seed)
    examples = write_examples(
        f"{out}/examples", others, most=args.programs, held_out=unseen, seed=args.seed
    )
    generator = f"{out}/generator"
    logger.info("fold %d: generator", number)
    spoken = train_generator(
        data=solutions, out=generator, config=generator_config(args), scaling=scaling(args)
    )
    logger.info("fold %d: reward model", number)
    learnt = train_orm(
        examples=examples,
        out=f"{out}/orm",
        config=orm_config(args, generator),
        scaling=scaling(args),
    )
    logger.info("fold %d: scores", number)
    seconds, margins = scored(args, [*folds[number], *left_out], out)
    fold = Measured(
        fold=number,
        judged=judged_of(folds[number], margins),
        held_out=judged_of(left_out, margins) if left_out else None,
        seconds={
            "generator": spoken["wall_s"],
            "orm": learnt["wall_s"],
            "score": seconds,
        },
        trained={"generator": spoken["training"], "orm": learnt["training"]},
    )
    logger.info("fold %d: %s", number, fold_figures(fold))
    return fold


def generator_config(args: Args) -> GeneratorConfig:
    heads = max(1, args.hidden // HEAD_SIZE)
    shape = Shape(
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        layers=args.layers,
        heads=heads,
        kv_heads=max(1, heads // HEADS_A_KEY),
        intermediate_size=4 * args.hidden,
        max_positions=args.max_length,
    )
    optimization = Optimization(
        learning_rate=args.generator_rate,
        epochs=args.generator_epochs,
        effective_batch=16,
        warmup_steps=20,
        final_fraction=0.05,
        weight_decay=args.decay,
        seed=args.seed,
    )
    return GeneratorConfig(
        model=FROM_SCRATCH, shape=shape, max_length=args.max_length, optimization=optimization
    )


def orm_config(args: Args, generator: str) -> OrmConfig:
    from codeprm.training.targets import TargetOptions

    weights = {"ce": args.ce, "listwise": args.listwise}
    return OrmConfig(
        model=generator,
        trunk="frozen" if args.trunk == "frozen" else "trained",
        max_length=args.max_length,
        losses={name: weight for name, weight in weights.items() if weight},
        targets=TargetOptions(smooth_passes=args.smoothing, smooth_fails=args.smoothing),
        lm_weight=args.lm,
        group_size=args.group,
        optimization=Optimization(
            learning_rate=args.rate,
            epochs=args.epochs,
            effective_batch=args.batch,
            warmup_steps=10,
            final_fraction=0.05,
            weight_decay=args.decay,
            seed=args.seed,
        ),
    )


def scaling(args: Args) -> Scaling:
    """Shared prompts on CPU; a run of minutes needs no checkpoint."""
    return Scaling(
        workers=args.workers,
        gpus=0.0,
        cpus=1.0,
        threads=max(1, host.n_cores() // args.workers),
        micro_batch=MICRO_BATCH,
        packing="prefix",
        tokens_per_pass=8192,
        zero_stage=1,
        activation_checkpointing=False,
        checkpoint_every=10_000,
    )


def scored(args: Args, attempts: Sequence[Attempt], out: str) -> tuple[float, dict[str, float]]:
    """Seconds, and the margin of each completion that has one."""
    from codeprm.distributed.run import run_stage
    from codeprm.steps.score import score_stage

    engine = VllmConfig(
        model=f"{out}/orm", max_model_len=args.max_length, max_num_seqs=64, cpu_kv_cache_gb=1.0
    )
    stage = score_stage(
        engine,
        data=write_problems(f"{out}/problems", attempts),
        completions=write_completions(f"{out}/completions", attempts),
        out=f"{out}/scores",
        workers=Workers(max_workers=1, cpus=2.0, units_in_flight=2),
    )
    manifest = run_stage(stage)
    rows = Directory(stage.out).read_records(Score)
    return manifest["wall_s"], {row.completion_id: row.margin for row in rows}


def judged_of(attempts: Sequence[Attempt], margins: Mapping[str, float]) -> Judged:
    """Attempts in the order of their problems; those without a margin come last in any order."""
    problems = by_problem(attempts)
    rows = [attempt for own in problems for attempt in own]
    return Judged(
        margin=np.array([margins.get(row.completion_id, -np.inf) for row in rows]),
        length=np.array([len(row.program) for row in rows], dtype=np.float64),
        passed=np.array([row.passed for row in rows], dtype=np.bool_),
        timed_out=np.array([row.timed_out for row in rows], dtype=np.bool_),
        offsets=np.cumsum([0, *map(len, problems)]).astype(np.int64),
    )


# -- figures -------------------------------------------------------------------------------------


def fold_figures(one: Measured) -> dict[str, Any]:
    """Of one fold, and of the problems that were held out of its training."""
    found = {
        "fold": one.fold,
        "n_programs": len(one.judged.passed),
        "n_problems": len(one.judged.offsets) - 1,
        "passed": rounded(float(one.judged.passed.mean())),
        "unscored": int(np.isinf(one.judged.margin).sum()),
        "seconds": {name: rounded(value) for name, value in one.seconds.items()},
        "trained": one.trained,
    }
    for name, judged in (("test", one.judged), ("held_out", one.held_out)):
        if judged is not None:
            found[name] = {
                "orm": rounded(global_auc(judged.margin, judged)),
                "length": rounded(global_auc(-judged.length, judged)),
                "orm_within": rounded(auc_within([judged.margin], [judged]).value),
            }
    return found


def _settings(args: Args) -> dict[str, Any]:
    return {name: value for name, value in vars(args).items() if name not in ("data", "out")}


def _disconnect() -> None:
    from codeprm.distributed.session import disconnect

    disconnect()


if __name__ == "__main__":
    run(main, Args)
