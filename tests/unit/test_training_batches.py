from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeprm.training.batches import Division, groups_of, plan_steps


def rows_alone(n: int) -> list[np.ndarray]:
    return [np.array([row], dtype=np.int64) for row in range(n)]


def lengths_of(n: int) -> np.ndarray:
    return np.random.default_rng(1).integers(5, 100, n)


@given(
    n=st.integers(1, 60),
    workers=st.integers(1, 3),
    passes=st.integers(1, 3),
    rows=st.integers(1, 3),
    steps=st.integers(1, 20),
)
def test_every_rank_gets_equal_passes_and_epochs_come_whole(
    n: int, workers: int, passes: int, rows: int, steps: int
) -> None:
    division = Division(workers * passes * rows, workers, passes)
    plan = list(plan_steps(rows_alone(n), lengths_of(n), steps=steps, division=division, seed=0))
    assert len(plan) == steps
    for step in plan:
        assert [len(rank) for rank in step.ranks] == [passes] * workers
        assert {len(micro) for micro in step.micro_batches} == {rows}
    seen = np.concatenate([micro for step in plan for micro in step.micro_batches])
    counts = np.bincount(seen, minlength=n)
    # never twice before all others once, but for the window that is not over
    assert counts.max() - counts.min() <= 1


def test_the_plan_depends_on_the_seed_only() -> None:
    def flat(seed: int) -> list[int]:
        plan = plan_steps(
            rows_alone(50), lengths_of(50), steps=9, division=Division(8, 2, 2), seed=seed
        )
        return [int(row) for step in plan for micro in step.micro_batches for row in micro]

    assert flat(3) == flat(3)
    assert flat(3) != flat(4)


def test_a_resumed_plan_is_the_rest_of_the_whole() -> None:
    def plan() -> list[list[list[int]]]:
        steps = plan_steps(
            rows_alone(30), lengths_of(30), steps=12, division=Division(4, 2, 1), seed=0
        )
        return [[micro.tolist() for micro in step.micro_batches] for step in steps]

    assert list(islice(iter(plan()), 5, None)) == plan()[5:]


def test_the_batch_of_a_step_does_not_depend_on_the_division() -> None:
    def batches(workers: int, passes: int) -> list[set[int]]:
        steps = plan_steps(
            rows_alone(64), lengths_of(64), steps=8, division=Division(8, workers, passes), seed=5
        )
        return [{int(row) for micro in step.micro_batches for row in micro} for step in steps]

    assert batches(1, 1) == batches(2, 1) == batches(2, 4) == batches(1, 8)


def test_neighbours_in_length_come_together() -> None:
    lengths = lengths_of(256)
    plan = plan_steps(rows_alone(256), lengths, steps=8, division=Division(32, 1, 1), seed=0)
    padding = sum(
        int((lengths[micro].max() - lengths[micro]).sum())
        for step in plan
        for micro in step.micro_batches
    )
    assert padding < 0.15 * lengths.sum()


def test_groups_are_of_one_problem_and_mix_both_classes() -> None:
    problems = np.array([0, 1, 0, 1, 0, 1, 0, 0], dtype=np.int64)
    labels = np.array([1, 0, 0, 1, 1, 1, 0, 1], dtype=np.int64)
    groups = groups_of(problems, labels, group_size=2, seed=0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(8))
    for group in groups:
        assert len({int(p) for p in problems[group]}) == 1
    assert [sorted(labels[g].tolist()) for g in groups if problems[g[0]] == 0][:2] == [
        [0, 1],
        [0, 1],
    ]


@pytest.mark.parametrize("group_size", [1, 3, 100])
def test_groups_are_no_larger_than_asked(group_size: int) -> None:
    problems = np.repeat(np.arange(4), 7).astype(np.int64)
    groups = groups_of(problems, problems % 2, group_size=group_size, seed=0)
    assert max(map(len, groups)) == min(group_size, 7)
