"""How many examples a second does a reward model learn from, and are they the same losses?

    python benchmarks/train_orm.py                  # mini-TACO
    python benchmarks/train_orm.py --data FOLDER    # real programs

Four arms take the same steps, forward, backward and AdamW, in turn: the reference's loader (every
row padded to 4,096 tokens, one a pass; its attention skips padding, as flash attention does),
padding to the longest of a few rows, packed passes, and packed passes that compute what programs of
a problem share once. Then each arm trains a small model from the same start on the same examples,
and their losses are compared. The last line of stdout is the result.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.corpora import WIDE, Texts, chosen_problems, read_texts, reward_corpus, wide
from benchmarks.host import logger, rounded, spread
from benchmarks.orm_arms import ARMS, Arm, Sizes
from codeprm.cli import run
from codeprm.errors import ConfigError
from codeprm.places import Place
from codeprm.training.batches import Division, Indices, groups_of, plan_steps
from codeprm.training.corpus import Corpus
from codeprm.training.rows import Row

REFERENCE_LENGTH = 4096
SMALL = replace(WIDE, hidden_size=128, heads=4, intermediate_size=512)
MIN_OVER_PACKED = 2.0
MIN_OF_TOKENS = 0.75
MIN_OVER_REFERENCE = 10.0
MAX_LOSS_DIFFERENCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Args:
    """Time four ways to compute the same training steps."""

    data: Place = ""
    """Folder with problems.jsonl.gz and attempts.jsonl.gz; empty: mini-TACO."""
    rounds: int = 3
    """Turns of each arm, all over the same examples."""
    problems: int = 4
    """Problems, from short to long ones, whose programs are one step."""
    programs: int = 16
    """Programs of a problem."""
    hidden: int = WIDE.hidden_size
    """Width of the model."""
    layers: int = WIDE.layers
    """Its layers."""
    budget: int = 4096
    """Most tokens of a packed pass."""
    micro_batch: int = 4
    """Rows that are padded to the longest of them."""
    loss_steps: int = 50
    """Steps of the small model whose losses are compared; 0: none."""
    loss_max_length: int = 1024
    """Longest text there, to which the reference's rows are padded."""
    loss_batch: int = 16
    """Examples of a step there."""
    seed: int = 0
    """Which problems and programs, and the first weights."""


def main(args: Args) -> None:
    if min(args.rounds, args.problems, args.layers, args.budget, args.micro_batch) < 1:
        raise ConfigError("rounds, problems, layers, budget and micro_batch must be at least 1")
    facts = host.facts()
    texts = read_texts(args.data, seed=args.seed)
    rounds = timed_rounds(args, texts)
    figures = speed_figures(rounds)
    result: dict[str, Any] = {
        "benchmark": "train_orm",
        "data": "real programs" if args.data else "mini-TACO",
        "shape": {"hidden": args.hidden, "layers": args.layers, "vocab": WIDE.vocab_size},
        "examples": rounds[0]["shared"].examples,
        "programs_a_problem": args.programs,
        "budget": args.budget,
        **figures,
    }
    bars = speed_bars(figures)
    if args.loss_steps:
        compared = compared_losses(args, texts)
        result["losses"] = compared
        bars["losses"] = compared["largest_difference"] <= MAX_LOSS_DIFFERENCE
    host.print_result(result | {"host": facts, "bars": bars})


# -- speed --------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """One arm's step of a round."""

    examples: int
    tokens: int
    seconds: float

    @property
    def per_s(self) -> float:
        return self.examples / self.seconds


def timed_rounds(args: Args, texts: Texts) -> list[dict[str, Turn]]:
    """Arms in turn, another one first in each round; one step of few rows before all, untimed."""
    corpus, rows = rows_of_typical_problems(
        texts, problems=args.problems, programs=args.programs, seed=args.seed
    )
    shape = wide(args.hidden, args.layers)
    sizes = Sizes(REFERENCE_LENGTH, args.micro_batch, args.budget)
    arms = [Arm(name, shape, sizes, rate=1e-5, seed=args.seed) for name in ARMS]
    for arm in arms:
        arm.step(corpus, rows[:2])
    return [
        {arm.name: timed(arm, corpus, rows) for arm in arms[first:] + arms[:first]}
        for first in (number % len(arms) for number in range(args.rounds))
    ]


def rows_of_typical_problems(
    texts: Texts, *, problems: int, programs: int, seed: int
) -> tuple[Corpus, Indices]:
    """All texts, and which of them are of problems with few tokens and with many."""
    every = chosen_problems(texts, None, programs=programs, seed=seed)
    corpus = corpus_of(every, texts, REFERENCE_LENGTH)
    return corpus, np.flatnonzero(np.isin(corpus.problems, typical_problems(corpus, problems)))


def typical_problems(corpus: Corpus, n: int) -> Indices:
    """Problems with few tokens and with many: the middles of `n` equal parts, by tokens."""
    tokens = np.bincount(corpus.problems, weights=corpus.lengths)
    by_tokens = np.argsort(tokens, kind="stable")
    if n > len(by_tokens):
        raise ConfigError(
            f"{n} problems are asked for, the data have {len(by_tokens)} with so many programs"
        )
    middles = (np.arange(n) + 0.5) * len(by_tokens) / n
    return by_tokens[middles.astype(np.int64)]


def corpus_of(problems: Sequence[Sequence[Row]], texts: Texts, max_length: int) -> Corpus:
    rows = [row for own in problems for row in own]
    return reward_corpus(rows, texts.tokenizer, max_length)


def timed(arm: Arm, corpus: Corpus, rows: Indices) -> Turn:
    tokens = arm.tokens(corpus, rows)
    started = time.perf_counter()
    arm.step(corpus, rows)
    turn = Turn(len(rows), tokens, time.perf_counter() - started)
    logger.info("%s: %d tokens, %.2f examples a second", arm.name, turn.tokens, turn.per_s)
    return turn


def speed_figures(rounds: Sequence[dict[str, Turn]]) -> dict[str, Any]:
    """Of all arms, and the ratios by round that the bars look at."""
    first = rounds[0]
    token_ratio = first["packed"].tokens / first["shared"].tokens
    over_packed = [turns["shared"].per_s / turns["packed"].per_s for turns in rounds]
    over_reference = [turns["shared"].per_s / turns["reference"].per_s for turns in rounds]
    return {
        "arms": {
            name: {
                "examples_per_s": spread([turns[name].per_s for turns in rounds]),
                "tokens": first[name].tokens,
            }
            for name in ARMS
        },
        "shared_over_packed": spread(over_packed),
        "packed_tokens_over_shared": rounded(token_ratio),
        "share_of_token_ratio": spread([ratio / token_ratio for ratio in over_packed]),
        "shared_over_reference": spread(over_reference),
        "reference_tokens_over_shared": rounded(first["reference"].tokens / first["shared"].tokens),
    }


def speed_bars(figures: dict[str, Any]) -> dict[str, bool]:
    """Medians over rounds."""
    least = {
        "shared_over_packed": MIN_OVER_PACKED,
        "share_of_token_ratio": MIN_OF_TOKENS,
        "shared_over_reference": MIN_OVER_REFERENCE,
    }
    return {name: figures[name]["median"] >= bound for name, bound in least.items()}


# -- losses -------------------------------------------------------------------------------------


def compared_losses(args: Args, texts: Texts) -> dict[str, Any]:
    """The first losses of a small model in each arm, from the same weights and examples."""
    chosen = chosen_problems(texts, None, programs=args.programs, seed=args.seed)
    corpus = corpus_of(chosen, texts, args.loss_max_length)
    sizes = Sizes(args.loss_max_length, args.micro_batch, args.budget)
    losses = {}
    for name in ARMS:
        arm = Arm(name, SMALL, sizes, rate=1e-4, seed=args.seed)
        started = time.perf_counter()
        losses[name] = [arm.step(corpus, batch) for batch in batches(args, corpus)]
        logger.info("%s: %d losses, %.0f s", name, len(losses[name]), time.perf_counter() - started)
    first = np.array(losses["reference"])
    differences = {name: np.abs(np.array(own) - first).max() for name, own in losses.items()}
    return {
        "steps": args.loss_steps,
        "shape": {"hidden": SMALL.hidden_size, "layers": SMALL.layers},
        "first": rounded(first[0]),
        "last_ten_mean": rounded(statistics.mean(first[-10:])),
        "differences": {name: rounded(value) for name, value in differences.items()},
        "largest_difference": rounded(max(differences.values())),
    }


def batches(args: Args, corpus: Corpus) -> Iterator[Indices]:
    """A job's steps: problems stay together, the order is random."""
    units = groups_of(corpus.problems, corpus.labels, group_size=args.programs, seed=args.seed)
    division = Division(args.loss_batch, 1, 1)
    plan = plan_steps(
        units, corpus.lengths, steps=args.loss_steps, division=division, seed=args.seed
    )
    return (step.ranks[0][0] for step in plan)


if __name__ == "__main__":
    run(main, Args)
