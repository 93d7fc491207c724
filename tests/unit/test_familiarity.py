"""The profile of a model's programs, warnings about samples unlike it, and scores held together."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from codeprm.errors import DataError
from codeprm.evaluation.best_of_n import Floats
from codeprm.evaluation.calibration.familiarity import (
    generator_warnings,
    stability_index,
    trained_on_warnings,
)
from codeprm.evaluation.calibration.orm_lineage import (
    generators_of,
    training_rows,
    training_rows_behind,
)
from codeprm.evaluation.calibration.profile import (
    PROFILE_FILE,
    Profile,
    mean_comment_share,
    profile_of,
    read_comment_share,
    read_profile,
    read_profile_behind,
)
from codeprm.evaluation.card.agreement import (
    agreements,
    rank_correlation,
    read_margins,
    same_choice,
    score_agreement,
)
from codeprm.evaluation.samples import Samples
from codeprm.records import Completion, Example, Label, Outcome, Problem, Score, Verdict
from codeprm.reward_model import load_calibration, sigmoid
from codeprm.tables import Directory
from codeprm.training.corpus import Corpus
from codeprm.training.held_out import judge_held_out, natural_rate_of
from tests.rows import completion_row, problem_row, score_row, verdict_row, write_directory

N_PROBLEMS, N = 60, 10
PASS, FAIL = Outcome.PASSED, Outcome.WRONG_ANSWER


def samples_of(seed: int = 0, *, margin: Floats | None = None, **changes: object) -> Samples:
    rng = np.random.default_rng(seed)
    count = N_PROBLEMS * N
    found = rng.normal(size=count) if margin is None else margin
    values: dict[str, object] = {
        "problem_ids": [f"p{at}" for at in range(N_PROBLEMS)],
        "names": [""] * N_PROBLEMS,
        "difficulties": [""] * N_PROBLEMS,
        "dates": [""] * N_PROBLEMS,
        "offsets": np.arange(0, count + 1, N),
        "completion_ids": pa.array([f"c{at}" for at in range(count)]),
        "index": np.tile(np.arange(N), N_PROBLEMS),
        "passed": rng.random(count) < 0.4,
        "outcome": np.zeros(count, dtype=np.int64),
        "generator": np.zeros(count, dtype=np.int64),
        "generators": ["known"],
        "margin": found,
        "probability": sigmoid(found),
        "logprob": np.full(count, np.nan),
        "num_tokens": np.ones(count, dtype=np.int64),
        "length": np.exp(rng.normal(5, 1, size=count)).astype(np.int64) + 1,
        "outcomes": {},
        "excluded": {},
    }
    return Samples(**{**values, **changes})  # type: ignore[arg-type]


def profile() -> Profile:
    rng = np.random.default_rng(9)
    lengths = np.exp(rng.normal(5, 1, size=1000)).astype(int) + 1
    return profile_of(
        ["x" * length for length in lengths],
        generators=("known",),
        margins=rng.normal(size=1000),
        passed=rng.random(1000) < 0.4,
        weights=np.ones(1000),
        n_problems=100,
    )


def test_samples_like_the_profile_give_no_warning() -> None:
    assert generator_warnings(samples_of(), profile(), comment_share=0.0) == []
    assert generator_warnings(samples_of(), None) == []
    unscored = samples_of(margin=np.full(N_PROBLEMS * N, math.nan), generators=["strange"])
    assert generator_warnings(unscored, profile()) == []


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (samples_of(generators=["strange"]), "never met those of strange"),
        (samples_of(length=np.full(N_PROBLEMS * N, 2000)), "known are longer .* 2.[0-9] standard"),
        (samples_of(length=np.full(N_PROBLEMS * N, 20)), "known are shorter"),
        (samples_of(margin=np.full(N_PROBLEMS * N, 3.0)), "margins of known are spread unlike"),
        (samples_of(passed=np.arange(N_PROBLEMS * N) < 30), "5 % .* pass, .* too high"),
        (samples_of(passed=np.arange(N_PROBLEMS * N) >= 30), "95 % .* pass, .* too low"),
    ],
    ids=["name", "longer", "shorter", "margins", "harder", "easier"],
)
def test_each_difference_is_told_in_one_sentence(samples: Samples, words: str) -> None:
    warnings = generator_warnings(samples, profile())
    assert len(warnings) == 1
    assert "\n" not in warnings[0]
    assert re.search(words, warnings[0])


def test_only_the_generator_that_differs_is_named() -> None:
    generator = np.arange(N_PROBLEMS * N) % 2
    length = np.where(generator == 1, 2000, samples_of().length)
    mixed = samples_of(generator=generator, generators=["known", "other"], length=length)
    warnings = generator_warnings(mixed, profile())
    assert len(warnings) == 2
    assert "never met those of other" in warnings[0]
    assert warnings[1].startswith("programs of other are longer")


def test_comments_are_compared_where_they_are_known() -> None:
    warnings = generator_warnings(samples_of(), profile(), comment_share=0.4)
    assert len(warnings) == 1
    assert "40 % of the samples' programs and 0 % of those" in warnings[0]


def test_few_problems_must_differ_more_before_a_warning() -> None:
    many = profile()
    few = dataclasses.replace(many, n_problems=10)
    samples = samples_of(margin=np.random.default_rng(2).normal(0.9, 1, size=N_PROBLEMS * N))
    assert 0.5 < stability_index(samples.margin, many) < 1.2
    assert len(generator_warnings(samples, many)) == 1
    assert generator_warnings(samples, few) == []


def test_stability_index_is_0_for_the_same_spread_and_weighs_programs() -> None:
    margins = np.arange(1000.0)
    same = profile_of(
        ["x"], generators=(), margins=margins, passed=margins > 0, weights=np.ones(1000),
        n_problems=10,
    )  # fmt: skip
    assert stability_index(margins, same) == pytest.approx(0, abs=1e-4)
    assert len(same.margin_shares) == 10
    weighted = profile_of(
        ["x"], generators=(), margins=np.array([0.0, 1.0]), passed=np.array([True, False]),
        weights=np.array([3.0, 1.0]), n_problems=1,
    )  # fmt: skip
    assert weighted.pass_rate == 0.75
    assert weighted.margin_shares == pytest.approx((0.0, 0.75, 0.25))
    assert math.isnan(stability_index(margins, Profile()))


def test_comment_share_counts_characters_and_leaves_strings() -> None:
    assert mean_comment_share(["ab\n#cd", 'x = "#y"']) == pytest.approx((3 / 5 + 0) / 2)
    assert mean_comment_share(["", "  "]) is None


def test_a_profile_is_stored_and_found_behind_scores(tmp_path: Path) -> None:
    model = write_directory(tmp_path / "orm", (), (Problem,), job="train_orm")
    (tmp_path / "orm" / PROFILE_FILE).write_text(profile().to_json())
    scores = write_directory(tmp_path / "s", (), (Score,), job="score", inputs={"model": model})
    assert read_profile_behind(Directory(scores)) == profile()
    (tmp_path / "orm" / PROFILE_FILE).write_text(json.dumps({"schema": "codeprm-profile/1"}))
    with pytest.raises(DataError, match=r"profile.json is not a profile"):
        read_profile(Directory(model))
    assert read_profile_behind(Directory(str(tmp_path / "absent"))) is None


def lineage(path: Path) -> str:
    problems = [problem_row(f"p{at}") for at in range(4)]
    rows = [completion_row(problem, index) for problem in problems for index in range(2)]
    completions = write_directory(path / "c", rows, (Completion,), job="sample")
    # one in four passes, of those that are known to pass or fail
    outcomes = [PASS, FAIL, FAIL, FAIL, *[Outcome.FLAKY] * 4]
    known = [verdict_row(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)]
    verdicts = write_directory(path / "v", known, (Verdict,), job="execute")
    examples = [
        Example(
            example_id=str(at),
            problem_id=problem.problem_id,
            prompt="",
            program="x = 1  # one",
            label=Label.PASS if number < 1 else Label.FAIL,
            weight=1.0,
            split="train" if at < 2 else "calibration",
        )
        for at, problem in enumerate(problems)
        for number in range(2)
    ]
    labelled = [
        dataclasses.replace(row, example_id=f"{row.example_id}-{n}")
        for n, row in enumerate(examples)
    ]
    given = write_directory(
        path / "examples",
        labelled,
        (Example,),
        job="label",
        inputs={"completions": completions, "verdicts": verdicts},
    )
    return write_directory(
        path / "orm", (), (Problem,), job="train_orm", inputs={"examples": given}
    )


def test_lineage_tells_generators_and_training_problems(tmp_path: Path) -> None:
    model = Directory(lineage(tmp_path))
    assert generators_of(Directory(str(tmp_path / "examples"))) == ("tiny",)
    rows = training_rows(model)
    assert rows is not None
    assert rows.problem_ids == {problem_row(f"p{at}").problem_id for at in range(2)}
    assert rows.passing == 0.5
    assert read_profile(model) == Profile(generators=("tiny",))
    assert training_rows(Directory(str(tmp_path / "c"))) is None


def test_problems_that_the_model_was_trained_on_are_told(tmp_path: Path) -> None:
    model = lineage(tmp_path)
    scores = write_directory(tmp_path / "s", (), (Score,), job="score", inputs={"model": model})
    trained = training_rows_behind(Directory(scores))
    ids = [problem_row(f"p{at}").problem_id for at in range(4)]
    seen = samples_of(problem_ids=[*ids, *(f"other{at}" for at in range(N_PROBLEMS - 4))])
    (warning,) = trained_on_warnings(seen, trained)
    assert "trained on 2 of these 60 problems" in warning
    assert trained_on_warnings(samples_of(), trained) == []
    assert trained_on_warnings(seen, None) == []
    assert training_rows_behind(Directory(str(tmp_path / "absent"))) is None


def test_training_stores_calibration_and_profile_at_the_natural_rate(tmp_path: Path) -> None:
    run = Directory(lineage(tmp_path))
    n = 40
    labels = np.arange(n) % 2
    corpus = Corpus(
        ids=np.zeros(n, dtype=np.uint16),
        lengths=np.ones(n, dtype=np.int64),
        prompt_lengths=np.zeros(n, dtype=np.int64),
        problems=np.arange(n) // 4,
        labels=labels,
        weights=np.where(labels == 1, 1.0, 9.0),
        held_out=np.arange(n) >= 8,
    )
    margins = np.random.default_rng(1).normal(size=n - 8) + 2 * labels[8:]
    held_out = judge_held_out(corpus, margins, natural_rate_of(run))
    held_out.save(str(tmp_path), run)
    calibration = load_calibration(tmp_path)
    assert calibration.base_rate == pytest.approx(0.25)
    assert calibration.trained_rate == 0.5
    assert calibration.prior_shift == pytest.approx(math.log(1 / 3))
    assert (calibration.n, calibration.n_problems) == (32, 8)
    values = json.loads((tmp_path / "calibration.json").read_text())
    assert values["fitted_on"] == {"examples": "examples", "split": "calibration"}
    assert held_out.metrics["calibrated_nll"] == values["quality"]["after_cross_fitted"]["nll"]
    (tmp_path / "orm" / PROFILE_FILE).write_bytes((tmp_path / PROFILE_FILE).read_bytes())
    stored = read_profile(run)
    assert stored is not None
    assert stored.generators == ("tiny",)
    assert stored.pass_rate == pytest.approx(0.25)
    assert stored.comment_share == pytest.approx(4 / 7)
    assert stored.log_length_mean == pytest.approx(math.log(len("x = 1  # one")))


def test_a_model_without_held_out_programs_keeps_the_identity(tmp_path: Path) -> None:
    corpus = Corpus(
        ids=np.zeros(2, dtype=np.uint16),
        lengths=np.ones(2, dtype=np.int64),
        prompt_lengths=np.zeros(2, dtype=np.int64),
        problems=np.zeros(2, dtype=np.int64),
        labels=np.array([0, 1]),
        weights=np.ones(2),
        held_out=np.zeros(2, dtype=bool),
    )
    held_out = judge_held_out(corpus, np.empty(0))
    held_out.save(str(tmp_path), Directory(lineage(tmp_path)))
    assert load_calibration(tmp_path).name == "identity"
    assert held_out.metrics["auc_within"] is None
    assert held_out.metrics["calibrated_ece"] is None


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=7),
        min_size=1,
        max_size=4,
    )
)
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_agreement_within_problems_is_spearmans_and_the_overlap_of_the_best(
    problems: list[list[tuple[int, int]]],
) -> None:
    a, b = (np.array([row[side] for rows in problems for row in rows], float) for side in (0, 1))
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in problems])])
    correlation, overlap = rank_correlation(a, b, offsets), same_choice(a, b, offsets)
    for at, (low, high) in enumerate(itertools.pairwise(offsets)):
        own, other = a[low:high], b[low:high]
        expected = float(spearmanr(own, other).statistic)
        assert correlation[at] == pytest.approx(expected, nan_ok=True)
        best, best_other = (set(np.flatnonzero(k == k.max())) for k in (own, other))
        assert overlap[at] == len(best & best_other) / len(best | best_other)


def test_equal_scores_agree_wholly_and_reversed_ones_not_at_all() -> None:
    samples = samples_of()
    same = score_agreement(samples, samples.margin, draws=50)
    assert same.rank_correlation.value == pytest.approx(1)
    assert (same.same_choice.value, same.probability_change.value) == (1.0, 0.0)
    assert (same.auc_gain, same.best_gain) == ((0, 0, 0), (0, 0, 0))
    reverse = score_agreement(samples, -samples.margin, draws=50)
    assert reverse.rank_correlation.value == pytest.approx(-1)
    assert reverse.same_choice.value == 0.0
    assert reverse.auc.value + reverse.auc_other.value == pytest.approx(1)


def test_agreement_is_about_samples_that_both_score() -> None:
    samples = samples_of()
    other = samples.margin.copy()
    other[: N + 3] = math.nan
    agreement = score_agreement(samples, other, draws=20)
    assert (agreement.n_samples, agreement.n_problems) == (N_PROBLEMS * N - N - 3, N_PROBLEMS - 1)
    none = score_agreement(samples, np.full(N_PROBLEMS * N, math.nan), draws=20)
    assert none.n_samples == 0
    assert math.isnan(none.rank_correlation.value)


def test_agreement_is_told_by_difficulty_where_there_are_several() -> None:
    samples = samples_of()
    names = ["HARD", "EASY"] * N_PROBLEMS
    samples = dataclasses.replace(samples, difficulties=names[:N_PROBLEMS])
    found = agreements(samples, samples.margin, draws=20)
    assert [row.name for row in found] == ["all", "EASY", "HARD"]
    assert found[0].n_samples == found[1].n_samples + found[2].n_samples
    assert [row.same_choice.value for row in found] == [1.0, 1.0, 1.0]


def test_margins_of_another_directory_are_put_in_order(tmp_path: Path) -> None:
    problem = problem_row("a")
    rows = [completion_row(problem, index) for index in range(3)]
    samples = dataclasses.replace(
        samples_of(), completion_ids=pa.array([row.completion_id for row in rows])
    )

    def written(name: str, margins: Sequence[tuple[int, float]]) -> Directory:
        scores = [score_row(rows[at], margin) for at, margin in margins]
        return Directory(write_directory(tmp_path / name, scores, (Score,)))

    found = read_margins(written("s", [(2, 5.0), (0, -1.0)]), samples)
    assert found.tolist() == pytest.approx([-1.0, math.nan, 5.0], nan_ok=True)
    with pytest.raises(DataError, match=r"1 margins in .* not finite"):
        read_margins(written("nan", [(0, math.nan), (1, 1.0)]), samples)
    with pytest.raises(DataError, match=r"no score in .* is about a sample"):
        read_margins(written("none", []), samples)
    with pytest.raises(DataError, match="no tables in"):
        read_margins(Directory(str(tmp_path / "absent")), samples)


def test_comment_share_of_completions_is_read(tmp_path: Path) -> None:
    problem = problem_row("a")
    rows = [completion_row(problem, 0, "ab #cd"), completion_row(problem, 1, "x")]
    path = write_directory(tmp_path / "c", rows, (Completion,))
    assert read_comment_share(Directory(path)) == pytest.approx(0.3)
