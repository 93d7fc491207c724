"""Rows of token ids as arrays: what is known of each row, and its tokens.

    Index              lengths, problems, labels, ...: little enough for all rows of a run
      Corpus           and the tokens, in memory: the rows of a step
      StoredCorpus     and where the tokens are, in files (`codeprm.training.token_files`)

`take` gives some rows with their tokens, numbered anew. Ids are held flat in the smallest unsigned
type, two bytes a token for any StarCoder2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from codeprm.errors import DataError

Ints = npt.NDArray[np.int64]

# Targets that no loss is taken of.
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What is known of rows without their tokens; all arrays are [n].

    `targets` are the probabilities that losses aim at; left out, they are the labels.
    """

    lengths: Ints
    """Tokens of each row; its prompt comes first."""
    prompt_lengths: Ints
    problems: Ints
    labels: Ints
    weights: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.bool_]
    targets: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if len(self.targets) != len(self.labels):
            object.__setattr__(self, "targets", self.labels.astype(np.float64))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def target_lengths(self) -> Ints:
        """Tokens of each row that are predicted: those behind its prompt, never a text's first."""
        behind: Ints = self.lengths - np.maximum(self.prompt_lengths, 1)
        return behind

    def take(self, rows: Ints) -> Corpus:
        """Rows with their tokens, in this order and numbered so; rows may repeat."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus(Index):
    """Rows with their tokens: those of row i are `ids[starts[i]:starts[i + 1]]`."""

    ids: npt.NDArray[np.unsignedinteger]
    starts: Ints = field(init=False)

    def __post_init__(self) -> None:
        # super() without arguments looks for the class that dataclass replaced to give it slots
        Index.__post_init__(self)
        starts = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        object.__setattr__(self, "starts", starts)

    def row(self, index: int) -> Ints:
        """Token ids of a row."""
        return self.ids[self.starts[index] : self.starts[index + 1]].astype(np.int64)

    def take(self, rows: Ints) -> Corpus:
        tokens = [self.ids[self.starts[row] : self.starts[row + 1]] for row in rows]
        return Corpus(
            ids=np.concatenate(tokens) if tokens else self.ids[:0],
            lengths=self.lengths[rows],
            prompt_lengths=self.prompt_lengths[rows],
            problems=self.problems[rows],
            labels=self.labels[rows],
            weights=self.weights[rows],
            held_out=self.held_out[rows],
            targets=self.targets[rows],
        )


def token_type(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """The smallest that holds every id."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def require_rows(n_rows: int) -> None:
    """Nothing at all is left of what was given."""
    if not n_rows:
        raise DataError(
            "no row is left to train on: look into rejected/ of the output directory for why"
        )


def require_both_classes(index: Index) -> None:
    """Nothing separates programs if all that count passed or all failed."""
    labels = index.labels[~index.held_out & (index.weights > 0)]
    if len(np.unique(labels)) < 2:
        word = "none" if not len(labels) else "all passed" if labels[0] else "all failed"
        raise DataError(
            f"the {len(labels)} training examples are of one class ({word}): label completions of "
            "problems that the generator solves sometimes"
        )


def require_rows_to_learn(index: Index) -> None:
    """A few problems may all fall into the share that is held out."""
    if index.held_out.all():
        raise DataError(
            f"all {len(np.unique(index.problems))} problems are held out of training: lower "
            "held_out, or give another seed or more problems"
        )


def padded(corpus: Corpus, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Token ids of rows, one a line, filled up on the right with id 0."""
    lengths = corpus.lengths[rows]
    ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
    for line, row in enumerate(rows):
        ids[line, : lengths[line]] = corpus.row(int(row))
    return ids


def next_token_targets(
    corpus: Corpus, rows: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """At each position the token that follows it, where that is of the solution."""
    targets = np.full_like(ids, IGNORED)
    for line, row in enumerate(rows):
        # nothing predicts a text's first token
        start, end = max(int(corpus.prompt_lengths[row]), 1) - 1, corpus.lengths[row] - 1
        targets[line, start:end] = ids[line, start + 1 : end + 1]
    return targets
