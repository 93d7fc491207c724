"""What the training benchmarks decide; what they time is torch's."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import corpora, train_orm, train_sft
from benchmarks.corpora import Texts
from benchmarks.orm_arms import ARMS
from benchmarks.train_orm import Turn
from codeprm.errors import ConfigError
from codeprm.training.corpus import IGNORED, Corpus


@pytest.fixture(scope="module")
def texts() -> Texts:
    return corpora.read_texts("", seed=0)


def test_mini_taco_has_problems_with_many_programs_of_both_classes(texts: Texts) -> None:
    chosen = corpora.chosen_problems(texts, 6, programs=16, seed=1)
    assert [len(rows) for rows in chosen] == [16] * 6
    for rows in chosen:
        assert len({row.program for row in rows}) == 16
        assert len({row.prompt for row in rows}) == 1
    assert {row.passed for rows in chosen for row in rows} == {True, False}


def test_more_problems_than_there_are_is_told(texts: Texts) -> None:
    with pytest.raises(ConfigError, match="99999 problems with 16 programs are asked for"):
        corpora.chosen_problems(texts, 99999, programs=16, seed=0)


def test_solutions_are_right(texts: Texts) -> None:
    rows = corpora.chosen_solutions(texts, 50, seed=0)
    assert len(rows) == 50
    assert all(row.passed for row in rows)


def test_the_references_rows_are_joined_in_order_and_their_filling_is_learnt() -> None:
    lengths = np.array([3000, 1000, 500, 96, 4000])
    corpus = Corpus(
        ids=np.repeat(np.arange(1, 6, dtype=np.uint16), lengths),
        lengths=np.asarray(lengths),
        prompt_lengths=np.array([100, 200, 300, 50, 60]),
        problems=np.arange(5),
        labels=np.ones(5, dtype=np.int64),
        weights=np.ones(5),
        held_out=np.zeros(5, dtype=bool),
    )
    rows = list(train_sft.joined_rows(corpus, np.arange(5)))
    # 96 more tokens would have fitted into the first, but it was closed by then
    assert [np.unique(row.ids).tolist() for row in rows] == [[0, 1, 2], [0, 3, 4], [0, 5]]
    assert all(len(row.ids) == len(row.labels) == 4096 for row in rows)
    first, second, _ = rows
    assert (first.labels == IGNORED).sum() == 300
    assert (first.labels[4000:] == 0).all()
    assert second.labels[500:551].tolist() == [IGNORED] * 50 + [4]


def test_typical_problems_are_short_and_long() -> None:
    lengths = np.array([50, 10, 40, 20, 30, 60, 5, 5])
    corpus = Corpus(
        ids=np.zeros(lengths.sum(), dtype=np.uint16),
        lengths=np.asarray(lengths),
        prompt_lengths=np.ones(8, dtype=np.int64),
        problems=np.array([0, 1, 2, 3, 4, 5, 1, 1]),
        labels=np.ones(8, dtype=np.int64),
        weights=np.ones(8),
        held_out=np.zeros(8, dtype=bool),
    )
    # by tokens: 1 and 3 with 20, 4, 2, 0, 5
    assert train_orm.typical_problems(corpus, 3).tolist() == [3, 2, 5]
    with pytest.raises(ConfigError, match="7 problems are asked for, the data have 6"):
        train_orm.typical_problems(corpus, 7)


def test_bars_look_at_medians() -> None:
    def turns(shared_per_s: float) -> dict[str, Turn]:
        speeds = {"reference": 1.0, "padded": 4.0, "packed": 5.0, "shared": shared_per_s}
        tokens = {"reference": 4096, "padded": 900, "packed": 900, "shared": 300}
        return {name: Turn(32, tokens[name], 32 / speeds[name]) for name in ARMS}

    figures = train_orm.speed_figures([turns(8.0), turns(12.0), turns(20.0)])
    assert figures["shared_over_packed"]["median"] == pytest.approx(2.4)
    assert figures["packed_tokens_over_shared"] == pytest.approx(3.0)
    assert figures["share_of_token_ratio"]["median"] == pytest.approx(0.8)
    assert train_orm.speed_bars(figures) == {
        "shared_over_packed": True,
        "share_of_token_ratio": True,
        "shared_over_reference": True,
    }
    slower = train_orm.speed_figures([turns(8.0), turns(8.0), turns(20.0)])
    assert not any(train_orm.speed_bars(slower).values())
