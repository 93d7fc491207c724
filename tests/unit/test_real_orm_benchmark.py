"""What the benchmark on real programs decides: folds, what is learnt from, figures, bars."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import real_figures, real_orm, real_tables
from benchmarks.real_figures import Judged
from benchmarks.real_tables import Attempt
from codeprm.errors import ConfigError, DataError
from codeprm.records import Example, Label, Solution
from codeprm.tables import Directory
from tests.rows import problem_row


def attempts_of(name: str, programs: str, *, right: str = "") -> list[Attempt]:
    """A program a letter; those in `right` pass."""
    problem = problem_row(name)
    return [
        Attempt(
            problem=problem,
            index=index,
            program=f"print('{letter}')" if letter != "-" else " ",
            passed=letter in right,
            timed_out=False,
        )
        for index, letter in enumerate(programs)
    ]


def judged(margin: list[float], passed: str, sizes: list[int], *, length: float = 1.0) -> Judged:
    n = len(margin)
    return Judged(
        margin=np.array(margin),
        length=np.full(n, length),
        passed=np.array([letter == "+" for letter in passed]),
        timed_out=np.zeros(n, dtype=np.bool_),
        offsets=np.cumsum([0, *sizes]).astype(np.int64),
    )


def test_a_fold_is_md5_modulo_and_bits_can_be_left_out() -> None:
    assert real_tables.fold_of("a", 4, 0) == int("0cc175b9c0f1b6a831c399e269772661", 16) % 4
    assert real_tables.fold_of("a", 4, 1) == (int("0cc175b9c0f1b6a831c399e269772661", 16) // 2) % 4


def test_a_generator_learns_from_right_programs_once(tmp_path: Path) -> None:
    own = attempts_of("p", "abbc", right="ab") + attempts_of("q", "xy")
    path = real_tables.write_solutions(str(tmp_path / "solutions"), own, most=5, seed=0)
    found = [row.program for row in Directory(path).read_records(Solution)]
    assert sorted(found) == ["print('a')", "print('b')"]


def test_examples_are_as_they_come_and_held_out_by_problem(tmp_path: Path) -> None:
    own = attempts_of("p", "abcdefgh-", right="a") + attempts_of("q", "xy", right="xy")
    path = real_tables.write_examples(
        str(tmp_path / "examples"), own, most=4, held_out={own[-1].problem_id}, seed=0
    )
    found = list(Directory(path).read_records(Example))
    assert sum(row.split == "train" for row in found) == 4
    of_q = [row for row in found if row.split == "calibration"]
    assert [row.label for row in of_q] == [Label.PASS, Label.PASS]
    assert all(row.program.strip() for row in found)


def test_right_and_wrong_programs_of_a_source_weigh_alike() -> None:
    def of_source(source: str, attempts: list[Attempt]) -> list[Attempt]:
        return [replace(one, problem=replace(one.problem, source=source)) for one in attempts]

    problems = [
        of_source("easy", attempts_of("p", "abcd", right="abc")),
        of_source("easy", attempts_of("q", "ab", right="ab")),
        of_source("hard", attempts_of("r", "abcdefgh", right="a")),
    ]
    weights = real_tables.balanced(problems)
    mass: dict[tuple[str, bool], float] = defaultdict(float)
    for own, its_weights in zip(problems, weights, strict=True):
        for attempt, weight in zip(own, its_weights, strict=True):
            mass[attempt.problem.source, attempt.passed] += weight
    assert mass["easy", True] == pytest.approx(mass["easy", False])
    assert mass["hard", True] == pytest.approx(mass["hard", False])
    # two problems against one
    assert mass["easy", True] == pytest.approx(2 * mass["hard", True])
    assert sum(mass.values()) == pytest.approx(14)
    # q is one of class, and its programs weigh as much as all of p's right ones and a third more
    assert sum(weights[1]) == pytest.approx(sum(weights[0][:3]) * 4 / 3)


def test_problems_are_drawn_by_a_seed() -> None:
    own = [attempt for name in "abcdefgh" for attempt in attempts_of(name, "x")]
    drawn = real_tables.drawn_problems(own, 0.25, seed=3)
    assert len(drawn) == 2
    assert drawn == real_tables.drawn_problems(own, 0.25, seed=3)
    assert any(drawn != real_tables.drawn_problems(own, 0.25, seed=seed) for seed in range(4, 9))


def test_a_folder_without_attempts_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no attempts\.jsonl\.gz in"):
        real_tables.read_attempts(str(tmp_path))


def test_the_global_auc_compares_programs_of_all_problems() -> None:
    one = judged([3.0, 1.0, 2.0, 0.0], "+-+-", [2, 2])
    assert real_figures.global_auc(one.margin, one) == 1.0
    # of four pairs one is a tie and one in the wrong order
    two = judged([3.0, 1.0, 1.0, 2.0], "+-+-", [2, 2])
    assert real_figures.global_auc(two.margin, two) == pytest.approx(2.5 / 4)
    assert real_figures.auc_within([two.margin], [two]).value == pytest.approx(0.5)


def test_a_drawn_auc_is_that_of_the_problems_drawn() -> None:
    rng = np.random.default_rng(0)
    sizes = [5, 3, 4, 6]
    one = judged(list(rng.normal(size=18).round(1)), "+-" * 9, sizes)
    counts = np.array([2, 0, 1, 3])
    rows = np.concatenate([np.flatnonzero(one.problem == p) for p in np.repeat(range(4), counts)])
    expected = real_figures.global_auc(
        one.margin[rows],
        judged(list(one.margin[rows]), "".join("+" if p else "-" for p in one.passed[rows]),
               [len(rows)]),
    )  # fmt: skip
    drawn = real_figures.pairs_of(one.margin, one).auc(counts[None].astype(np.float64))
    assert drawn[0] == pytest.approx(expected)


def test_intervals_hold_the_value_and_differences_are_paired() -> None:
    rng = np.random.default_rng(1)
    folds = [
        judged(list(rng.normal(size=200)), "".join(rng.choice(["+", "-"], 200)), [10] * 20)
        for _ in range(2)
    ]
    keys = {"a": [one.margin for one in folds], "b": [2 * one.margin for one in folds]}
    drawn = real_figures.global_aucs(keys, folds)
    low, high = drawn.interval("a")[1:]
    assert low < drawn.interval("a").value < high
    assert 0.05 < high - low < 0.3
    assert drawn.interval("a", "b") == (0.0, 0.0, 0.0)


def test_a_logistic_model_never_sees_its_own_fold() -> None:
    rng = np.random.default_rng(2)
    passed = "".join(rng.choice(["+", "-"], 100))
    folds = [judged(list(rng.normal(size=100)), passed, [10] * 10) for _ in range(3)]
    before = real_figures.stacked(folds, with_margin=True)
    turned = [folds[0]._replace(passed=~folds[0].passed), *folds[1:]]
    after = real_figures.stacked(turned, with_margin=True)
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])


def test_programs_without_a_margin_come_last() -> None:
    rows = attempts_of("p", "ab-", right="ab")
    one = real_figures.judged_of(rows, {rows[0].completion_id: -9.0, rows[1].completion_id: 1.0})
    assert one.margin.tolist() == [-9.0, 1.0, -np.inf]
    assert real_figures.global_auc(one.margin, one) == 1.0
    assert np.isfinite(real_figures.stacked([one, one], with_margin=True)[0]).all()


def test_programs_can_be_left_out() -> None:
    one = judged([3.0, 1.0, 2.0, 0.0], "+-+-", [2, 2])
    left = one.only(np.array([True, False, True, True]))
    assert left.offsets.tolist() == [0, 1, 3]
    assert left.margin.tolist() == [3.0, 2.0, 0.0]


def test_figures_are_of_all_attempts_and_of_some() -> None:
    rng = np.random.default_rng(3)
    folds = []
    for _ in range(2):
        one = judged(list(rng.normal(size=200)), "+---" * 50, [10] * 20)
        better = np.where(one.passed, one.margin + 2, one.margin)
        empty, timed_out = np.zeros(200, dtype=np.bool_), np.zeros(200, dtype=np.bool_)
        empty[1::8], timed_out[2::8] = True, True
        too_long = np.isin(np.arange(200), [4, 54, 104, 154])
        folds.append(
            one._replace(
                margin=np.where(empty | too_long, -np.inf, better),
                length=np.where(empty, 0.0, rng.integers(1, 99, 200)),
                timed_out=timed_out,
            )
        )
    found = real_figures.figures_of(folds)
    assert [found[name]["n_programs"] for name in found] == [400, 350, 300, 342]
    # an empty program is never right, and comes first by length alone
    orm = {name: found[name]["global_auc"]["orm"]["value"] for name in found}
    length = {name: found[name]["global_auc"]["length"]["value"] for name in found}
    assert orm["all"] > orm["with_a_program"] > 0.85
    assert length["all"] < length["with_a_program"]
    assert found["all"]["logistic_gain"]["low"] > 0.1
    assert found["all"]["log_loss"]["logistic_length_orm"] < 0.5


def test_bars_ask_for_every_split_both_ways_to_count_and_the_time() -> None:
    def split(first_bit: int, every: float, programs: float) -> dict[str, object]:
        names = {"all": every, "with_a_program": programs}
        shown = {name: {"global_auc": {"orm": {"value": at}}} for name, at in names.items()}
        return {"first_bit": first_bit, **shown}

    splits = [split(0, 0.6, 0.61), split(1, 0.7, 0.599)]
    assert real_orm.bars({"splits": splits, "wall_s": 2400.0}) == {
        "first_bit_0_all": True,
        "first_bit_0_with_a_program": True,
        "first_bit_1_all": True,
        "first_bit_1_with_a_program": False,
        "wall_s": True,
    }
    assert not real_orm.bars({"splits": splits, "wall_s": 2401.0})["wall_s"]


def test_problems_of_one_fold_are_told() -> None:
    args = real_orm.Args(data="", folds=1)
    with pytest.raises(ConfigError, match="all problems fall into one fold of 1"):
        real_orm.split_figures(args, 0, attempts_of("p", "ab"), "nowhere")
