"""Which examples share a forward pass: a step under a token budget, the same on every rank.

    Step as planned -> problems -> units -> Step: as many passes on each rank, none over the budget

`batches.plan_steps` says which examples a step has, and nothing here changes that: packing only
says which of them are computed together, so a step's loss and gradients are the same however it is
packed. A pass holds its examples end to end, without padding. With `share`, programs behind the
same prompt are a *family*: the tokens that all of them begin with are computed once.

A unit is what stays in one pass: all of a step's programs of one problem where a loss compares
them (`whole`), so that its pairs are those of the step whatever the budget and the number of ranks;
otherwise as much of a family as fits. Units go, the largest first, to the pass with the fewest
tokens; the number of passes is a multiple of the ranks, and a rank that has no unit left for one
runs an empty pass, because ranks that hold ZeRO-3 shards must step together. Everything follows
from the corpus, so every rank computes all ranks' passes by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codeprm.errors import ConfigError
from codeprm.training.batches import Indices, Step
from codeprm.training.config import GeneratorConfig, OrmConfig, Scaling
from codeprm.training.corpus import Corpus, Index
from codeprm.training.losses import GROUPED


class Packing(NamedTuple):
    """How steps are packed."""

    budget: int
    """Most tokens of a forward pass."""
    workers: int = 1
    """Ranks, each with the same number of passes."""
    share: bool = True
    """Whether tokens that programs have in common are computed once."""
    whole: bool = False
    """Whether all programs of a problem in a step must be in one pass."""


def packing_of(config: GeneratorConfig | OrmConfig, scaling: Scaling) -> Packing | None:
    """What a run asks for; None where its rows are padded."""
    if scaling.packing == "padded":
        return None
    losses = config.losses if isinstance(config, OrmConfig) else {}
    return Packing(
        budget=scaling.tokens_per_pass,
        workers=scaling.workers,
        share=scaling.packing == "prefix",
        whole=any(losses.get(name) for name in GROUPED),
    )


class Family(NamedTuple):
    """Rows whose first `prefix` tokens are computed once; each has at least one token more."""

    rows: Indices
    prefix: int


def shared_prefix(rows: Sequence[npt.NDArray[np.int64]]) -> int:
    """Tokens that all rows begin with, at most all but one of the shortest; of one row none."""
    if len(rows) < 2:
        return 0
    first, *others = rows
    length = min(map(len, rows)) - 1
    for row in others:
        different = np.flatnonzero(first[:length] != row[:length])
        length = int(different[0]) if len(different) else length
    return length


def families_of(corpus: Corpus, rows: Indices, *, share: bool) -> list[Family]:
    """Rows as families, in the order in which each first appears; rows may repeat.

    Programs are of one family if their problem and their prompt's tokens are the same. The prompts
    of a problem differ where the middle of one was cut to make room for its program.
    """
    if not share:
        return [Family(rows[i : i + 1], 0) for i in range(len(rows))]
    tokens = {row: corpus.row(row) for row in map(int, rows)}
    alike: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for row in map(int, rows):
        prompt = tokens[row][: corpus.prompt_lengths[row]]
        alike[int(corpus.problems[row]), prompt.tobytes()].append(row)
    return [
        Family(np.array(found, dtype=np.int64), shared_prefix([tokens[row] for row in found]))
        for found in alike.values()
    ]


def tokens_of(families: Iterable[Family], lengths: Indices) -> int:
    """Tokens that are computed for families; `lengths` are those of all rows of the corpus."""
    return sum(
        family.prefix + int((lengths[family.rows] - family.prefix).sum()) for family in families
    )


def pack(sizes: Sequence[int], *, budget: int, multiple: int = 1) -> list[list[int]]:
    """Units by pass, so that none holds more than `budget` tokens; passes may be empty.

    The number of passes is a multiple of `multiple`, the smallest for which putting the largest
    unit that is left into the emptiest pass keeps to the budget. The fullest passes come first.
    """
    _require_fit(max(sizes, default=0), budget)
    order = sorted(range(len(sizes)), key=lambda unit: -sizes[unit])
    n_passes = max(1, -(-sum(sizes) // (budget * multiple))) * multiple
    while True:
        passes: list[list[int]] = [[] for _ in range(n_passes)]
        loads = [0] * n_passes
        for unit in order:
            emptiest = loads.index(min(loads))
            passes[emptiest].append(unit)
            loads[emptiest] += sizes[unit]
        if max(loads) <= budget:
            return [passes[i] for i in sorted(range(n_passes), key=lambda i: -loads[i])]
        n_passes += multiple


def pack_step(step: Step, corpus: Corpus, packing: Packing) -> Step:
    """The same examples in packed passes; passes may be empty, and as many on every rank."""
    units, lengths = _units(examples_of(step), corpus, packing), corpus.lengths
    sizes = [tokens_of(unit, lengths) for unit in units]
    packed = pack(sizes, budget=packing.budget, multiple=packing.workers)
    passes = [_rows([family for unit in chosen for family in units[unit]]) for chosen in packed]
    # passes that run at the same time are neighbours in size
    return Step([passes[rank :: packing.workers] for rank in range(packing.workers)])


def check_budget(plan: Iterable[Step], index: Index, packing: Packing) -> None:
    """Before anything starts: no step of the plan has a unit that exceeds the budget."""
    needed = int(index.lengths.max())
    # without `whole`, no unit is larger than its longest row or the budget
    for step in plan if packing.whole else ():
        rows = examples_of(step)
        if _most_tokens(rows, index, packing) > packing.budget:
            # tokens are only read where what is known without them does not say that it fits
            corpus = index.take(rows)
            units = _units(np.arange(len(rows)), corpus, packing)
            needed = max(needed, *(tokens_of(unit, corpus.lengths) for unit in units))
    _require_fit(needed, packing.budget)


def _most_tokens(rows: Indices, index: Index, packing: Packing) -> int:
    """Tokens of the largest problem among rows, at most: its programs may begin alike too."""
    lengths, prompts, problems = index.lengths, index.prompt_lengths, index.problems[rows]
    most = 0
    for problem in np.unique(problems):
        own = rows[problems == problem]
        if packing.share:
            # where the prompts of a problem are as long as each other, they are the same
            shared = sum(int(length) for length in np.unique(prompts[own]))
            tokens = shared + int((lengths[own] - prompts[own]).sum())
        else:
            tokens = int(lengths[own].sum())
        most = max(most, tokens)
    return most


def examples_of(step: Step) -> Indices:
    """A step's examples in the order of the plan, which deals them to ranks in turn."""
    turns = zip(*step.ranks, strict=True)
    return np.concatenate([micro_batch for turn in turns for micro_batch in turn])


def _units(rows: Indices, corpus: Corpus, packing: Packing) -> list[list[Family]]:
    by_problem: dict[int, list[Family]] = defaultdict(list)
    families = families_of(corpus, rows, share=packing.share)
    for family in families:
        by_problem[int(corpus.problems[family.rows[0]])].append(family)
    if packing.whole:
        return list(by_problem.values())
    lengths, limit = corpus.lengths, packing.budget
    if packing.workers > 1:
        # a problem with most of the step's tokens is work for several ranks
        share = -(-tokens_of(families, lengths) // packing.workers)
        limit = min(limit, max(share, int(lengths[rows].max())))
    return [[part] for family in families for part in _parts(family, lengths, limit)]


def _parts(family: Family, lengths: Indices, limit: int) -> Iterator[Family]:
    """A family in parts of at most `limit` tokens, its prefix in each; a row is never cut."""
    start, size = 0, family.prefix
    for at, row in enumerate(family.rows):
        suffix = int(lengths[row]) - family.prefix
        if at > start and size + suffix > limit:
            yield Family(family.rows[start:at], family.prefix)
            start, size = at, family.prefix
        size += suffix
    yield Family(family.rows[start:], family.prefix)


def _rows(families: Sequence[Family]) -> Indices:
    rows = [family.rows for family in families]
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def _require_fit(tokens: int, budget: int) -> None:
    if tokens > budget:
        raise ConfigError(
            f"{tokens:,} tokens must be in one forward pass and tokens_per_pass is {budget:,}: "
            "raise it, or lower max_length or group_size"
        )
