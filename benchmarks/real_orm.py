"""Does a reward model learn from real programs what holds for problems that it has not seen?

    python benchmarks/real_orm.py --data FOLDER

Four folds by md5 of the problem's name, and once more without its last bit: names whose md5 is
even leave two of four folds empty. For each fold, with the product's own jobs: a StarCoder2 is
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
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.host import logger, rounded
from benchmarks.real_figures import Measured, figures_of, fold_figures, judged_of
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
    first_bits: tuple[int, ...] = (0, 1)
    """Bits at the end of md5 that are left out before it is divided: a split each."""
    hidden: int = 128
    """Width of the models."""
    layers: int = 3
    """Their layers."""
    vocab: int = 2048
    """Tokens."""
    max_length: int = 2048
    """Longest prompt and solution that the generator learns from, in tokens."""
    window: int = 512
    """Tokens of prompt and program that the reward model reads: of a longer prompt the middle is
    cut, so that what it reads is nearly always as long, and a program's share of it says how long
    the program is. Longer programs have no margin."""
    solutions: int = 6
    """Right programs of each problem that the generator learns from, at most."""
    generator_epochs: float = 1.0
    """Passes over them. A generator that is trained on looks at the last tokens alone, and its last
    state tells less and less of the whole program."""
    generator_rate: float = 2e-3
    """Its learning rate."""
    programs: int = 40
    """Programs of each problem that the reward model learns from, at most."""
    epochs: float = 1.0
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
    group: int = 16
    """Programs of a problem that stay together."""
    batch: int = 64
    """Examples a step of the reward model."""
    held_out: float = 0.0
    """Share of the problems that the reward model could learn from and does not, to choose
    settings by; they are scored too."""
    workers: int = 2
    """Processes that train, with a core each."""
    seed: int = 0
    """Of every draw."""


def main(args: Args) -> None:
    facts, started = host.facts(), time.monotonic()
    attempts = read_attempts(args.data)
    with ExitStack() as stack:
        out = args.out or stack.enter_context(tempfile.TemporaryDirectory(prefix="codeprm-real-"))
        stack.callback(_disconnect)
        splits = [split_figures(args, bit, attempts, f"{out}/bit-{bit}") for bit in args.first_bits]
    result = {
        "benchmark": "real_orm",
        "settings": vars(args) | {"data": "", "out": ""},
        "n_attempts": len(attempts),
        "n_problems": len(by_problem(attempts)),
        "splits": splits,
        "wall_s": rounded(time.monotonic() - started),
        "host": facts,
    }
    host.print_result(result | {"bars": bars(result)})


def bars(result: Mapping[str, Any]) -> dict[str, bool]:
    """Of every split: all attempts, and those with a program alone."""
    return {
        f"first_bit_{split['first_bit']}_{name}": split[name]["global_auc"]["orm"]["value"]
        >= MIN_AUC
        for split in result["splits"]
        for name in ("all", "with_a_program")
    } | {"wall_s": result["wall_s"] <= MAX_S}


def split_figures(
    args: Args, first_bit: int, attempts: Sequence[Attempt], out: str
) -> dict[str, Any]:
    """A reward model for each fold, and what they are worth together."""
    folds: dict[int, list[Attempt]] = {number: [] for number in range(args.folds)}
    for attempt in attempts:
        folds[fold_of(attempt.problem.name, args.folds, first_bit)].append(attempt)
    filled = [number for number, own in folds.items() if own]
    if len(filled) < 2:
        raise ConfigError(f"all problems fall into one fold of {args.folds}: ask for more folds")
    found = [measured(args, number, folds, f"{out}/fold-{number}") for number in filled]
    return {
        "first_bit": first_bit,
        "folds": [fold_figures(one) for one in found],
        **figures_of([one.judged for one in found]),
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
        seconds={"generator": spoken["wall_s"], "orm": learnt["wall_s"], "score": seconds},
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
    weights = {"ce": args.ce, "listwise": args.listwise}
    return OrmConfig(
        model=generator,
        max_length=args.window,
        losses={name: weight for name, weight in weights.items() if weight},
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
        tokens_per_pass=16384,
        zero_stage=1,
        activation_checkpointing=False,
        checkpoint_every=10_000,
    )


def scored(args: Args, attempts: Sequence[Attempt], out: str) -> tuple[float, dict[str, float]]:
    """Seconds, and the margin of each completion that has one."""
    from codeprm.distributed.run import run_stage
    from codeprm.steps.score import score_stage

    engine = VllmConfig(
        model=f"{out}/orm", max_model_len=args.window, max_num_seqs=64, cpu_kv_cache_gb=1.0
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


def _disconnect() -> None:
    from codeprm.distributed.session import disconnect

    disconnect()


if __name__ == "__main__":
    run(main, Args)
