"""Which examples share a pass, and what a pass holds: pure, without torch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.errors import ConfigError
from codeprm.training.batches import Division, Step, plan_steps
from codeprm.training.config import GeneratorConfig, OrmConfig, Scaling
from codeprm.training.corpus import Corpus
from codeprm.training.packed_pass import Span, packed_pass
from codeprm.training.packing import (
    Packing,
    check_budget,
    examples_of,
    families_of,
    pack,
    pack_step,
    packing_of,
    shared_prefix,
    tokens_of,
)


def corpus_of(*rows: tuple[int, str, str]) -> Corpus:
    """Rows of (problem, prompt, program); each letter is a token."""
    texts = [prompt + program for _, prompt, program in rows]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return Corpus(
        ids=np.array([ord(letter) for text in texts for letter in text], dtype=np.uint16),
        lengths=np.asarray(lengths),
        prompt_lengths=np.array([len(prompt) for _, prompt, _ in rows], dtype=np.int64),
        problems=np.array([problem for problem, *_ in rows], dtype=np.int64),
        labels=np.arange(len(rows)) % 2,
        weights=np.ones(len(rows)),
        held_out=np.zeros(len(rows), dtype=bool),
    )


programs = st.text(alphabet="ab", min_size=1, max_size=6)
corpora = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["pp", "pq", "p"]), programs),
    min_size=1,
    max_size=12,
).map(lambda rows: corpus_of(*rows))


# -- prefixes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "length"),
    [
        (["abcd", "abce"], 3),
        (["abcd", "abcd"], 3),
        (["ab", "abcd", "abcde"], 1),
        (["abcd", "xbcd"], 0),
        (["a", "a"], 0),
        (["abcd"], 0),
    ],
)
def test_shared_prefix_leaves_each_row_a_token(texts: list[str], length: int) -> None:
    assert shared_prefix([np.array([ord(c) for c in text]) for text in texts]) == length


def test_programs_behind_different_prompts_are_no_family() -> None:
    corpus = corpus_of((0, "long", "ab"), (0, "log", "abcdef"), (0, "long", "ac"), (1, "long", "a"))
    families = families_of(corpus, np.array([2, 0, 1, 3]), share=True)
    assert [(family.rows.tolist(), family.prefix) for family in families] == [
        ([2, 0], 5),
        ([1], 0),
        ([3], 0),
    ]
    assert tokens_of(families, corpus.lengths) == (5 + 1 + 1) + 9 + 5


# -- what a pass holds --------------------------------------------------------------------------


@settings(deadline=None, max_examples=100, derandomize=True)
@given(corpora, st.booleans(), st.data())
def test_each_program_can_be_read_back_from_a_pass(corpus: Corpus, share: bool, data: Any) -> None:
    picks = st.lists(st.integers(0, len(corpus) - 1), min_size=1, max_size=8)
    rows = np.array(data.draw(picks), dtype=np.int64)
    spoken = rows[corpus.labels[rows] == 1]
    found = packed_pass(corpus, rows, spoken, share=share)
    families = families_of(corpus, rows, share=share)
    assert len(found.ids) == tokens_of(families, corpus.lengths) == found.families[-1].end
    read = {}
    for prefix, own in found.families:
        for program in own:
            places = [*range(*prefix), *range(*program)]
            assert found.positions[places].tolist() == list(range(len(places)))
            read[places[-1]] = found.ids[places].tolist()
    assert len(set(found.ends.tolist())) == len(rows)
    assert [read[end] for end in found.ends] == [corpus.row(int(row)).tolist() for row in rows]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(corpora, st.booleans())
def test_token_targets_count_what_the_programs_have_one_by_one(corpus: Corpus, share: bool) -> None:
    rows = np.arange(len(corpus))
    spoken = rows[corpus.labels == 1]
    found = packed_pass(corpus, rows, spoken, share=share)
    expected: Counter[tuple[bytes, int]] = Counter()
    for row in map(int, spoken):
        ids = corpus.row(row)
        for at in range(int(corpus.prompt_lengths[row]), len(ids)):
            expected[int(corpus.problems[row]), ids[:at].tobytes(), int(ids[at])] += 1
    texts = {}
    for prefix, own in found.families:
        row = int(corpus.problems[rows[np.isin(found.ends, [own[0].end - 1])][0]])
        for span in (prefix, *own):
            before = list(range(*prefix)) if span is not prefix else []
            for place in range(*span):
                seen = [*before, *range(span.start, place + 1)]
                texts[place] = (row, found.ids[seen].tobytes())
    counted: Counter[tuple[int, bytes, int]] = Counter()
    for place, token, count in zip(*found.targets, strict=True):
        counted[(*texts[int(place)], int(token))] += int(count)
    assert counted == expected
    assert found.targets.counts.sum() == corpus.target_lengths[spoken].sum()


def test_a_prefix_is_laid_once_and_counted_for_each() -> None:
    corpus = corpus_of((0, "pp", "aab"), (0, "pp", "aac"), (0, "pp", "aab"))
    rows = np.arange(3)
    found = packed_pass(corpus, rows, rows, share=True)
    assert bytes(found.ids.tolist()) == b"ppaabcb"
    assert found.positions.tolist() == [0, 1, 2, 3, 4, 4, 4]
    assert found.ends.tolist() == [4, 5, 6]
    assert found.families == ((Span(0, 4), (Span(4, 5), Span(5, 6), Span(6, 7))),)
    places, ids, counts = found.targets
    assert places.tolist() == [1, 2, 3, 3]
    assert bytes(ids.tolist()) == b"aabc"
    assert counts.tolist() == [3, 3, 2, 1]


def test_a_pass_of_nothing_is_one_token() -> None:
    none = np.empty(0, dtype=np.int64)
    found = packed_pass(corpus_of((0, "p", "a")), none, none, share=True)
    assert len(found.ids) == len(found.positions) == 1
    assert len(found.ends) == len(found.targets.places) == 0


# -- passes -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(st.integers(1, 30), max_size=20), st.integers(30, 60), st.integers(1, 4))
def test_each_unit_is_in_one_pass_within_the_budget(
    sizes: list[int], budget: int, multiple: int
) -> None:
    passes = pack(sizes, budget=budget, multiple=multiple)
    assert sorted(unit for chosen in passes for unit in chosen) == list(range(len(sizes)))
    loads = [sum(sizes[unit] for unit in chosen) for chosen in passes]
    assert loads == sorted(loads, reverse=True)
    assert loads[0] <= budget
    assert len(passes) % multiple == 0
    # any two passes over half full could not be one; so few passes are wasted
    assert len(passes) <= multiple * (2 * sum(sizes) // (budget * multiple) + 1)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(corpora, st.booleans(), st.booleans(), st.integers(1, 3), st.data())
def test_a_packed_step_has_the_same_examples(
    corpus: Corpus, share: bool, whole: bool, workers: int, data: Any
) -> None:
    picks = st.lists(st.integers(0, len(corpus) - 1), min_size=1, max_size=10)
    rows = np.array(data.draw(picks), dtype=np.int64)
    budget = 100 if whole else int(corpus.lengths.max())
    packing = Packing(budget=budget, workers=workers, share=share, whole=whole)
    found = pack_step(Step([[rows]]), corpus, packing)
    assert sorted(np.concatenate(found.micro_batches)) == sorted(rows)
    assert [len(rank) for rank in found.ranks] == [len(found.ranks[0])] * workers
    for chosen in found.micro_batches:
        assert tokens_of(families_of(corpus, chosen, share=share), corpus.lengths) <= budget
    if whole:
        passes = [set(corpus.problems[chosen]) for chosen in found.micro_batches]
        assert sum(map(len, passes)) == len(set(corpus.problems[rows]))


def test_the_division_of_the_plan_does_not_matter() -> None:
    corpus = corpus_of(*((i % 3, "prompt", "abc"[: i % 3 + 1] * (i + 1)) for i in range(24)))
    packing = Packing(budget=100, workers=2)
    units = [np.array([i]) for i in range(24)]

    def packed(workers: int, passes: int) -> list[list[list[list[int]]]]:
        plan = plan_steps(
            units, corpus.lengths, steps=5, division=Division(12, workers, passes), seed=3
        )
        return [[[list(chosen) for chosen in rank] for rank in step.ranks]
                for step in (pack_step(each, corpus, packing) for each in plan)]  # fmt: skip

    assert packed(1, 12) == packed(2, 3) == packed(3, 1)


def test_examples_come_in_the_order_of_the_plan() -> None:
    parts = [np.array([i, i + 1]) for i in range(0, 12, 2)]
    assert examples_of(Step([parts[0::3], parts[1::3], parts[2::3]])).tolist() == list(range(12))


def test_a_problem_is_work_for_all_ranks_unless_a_loss_compares_its_programs() -> None:
    corpus = corpus_of(*((0, "prompt", letter * 30) for letter in "abcdefgh"))
    rows = np.arange(8)
    packing = Packing(budget=1000, workers=4)
    spread = pack_step(Step([[rows]]), corpus, packing)
    assert all(len(rank[0]) for rank in spread.ranks)
    whole = pack_step(Step([[rows]]), corpus, packing._replace(whole=True))
    assert [len(rank[0]) for rank in whole.ranks] == [8, 0, 0, 0]


def test_a_problem_over_the_budget_is_told_before_the_start() -> None:
    corpus = corpus_of(*((0, "prompt", letter * 30) for letter in "abcd"), (1, "p", "a"))
    step = Step([[np.arange(5)]])
    packing = Packing(budget=126, whole=True)
    check_budget([step], corpus, packing)
    with pytest.raises(ConfigError, match="126 tokens must be in one forward pass and tokens_per_"):
        check_budget([step], corpus, packing._replace(budget=125))
    with pytest.raises(ConfigError, match="144 tokens"):
        check_budget([step], corpus, packing._replace(share=False))
    check_budget([step], corpus, Packing(budget=36))
    with pytest.raises(ConfigError, match="36 tokens"):
        check_budget([step], corpus, Packing(budget=35))


@pytest.mark.parametrize(
    ("losses", "whole"),
    [({"ce": 1.0}, False), ({"ce": 1.0, "bt": 0.5}, True), ({"ce": 1.0, "listwise": 0.0}, False)],
)
def test_losses_that_compare_programs_keep_problems_whole(
    losses: dict[str, float], whole: bool
) -> None:
    config = OrmConfig(losses=losses, group_size=4)
    scaling = Scaling(workers=3, packing="prefix", tokens_per_pass=500)
    assert packing_of(config, scaling) == Packing(500, 3, share=True, whole=whole)


def test_rows_are_padded_unless_asked_otherwise() -> None:
    assert packing_of(OrmConfig(), Scaling()) is None
    packed = packing_of(GeneratorConfig(), Scaling(packing="packed"))
    assert packed == Packing(16384, 8, share=False, whole=False)
