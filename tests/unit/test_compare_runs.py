"""Two runs on the same problems: matching, paired differences, files that are not reports."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from codeprm.errors import DataError
from codeprm.evaluation.compare_runs import Run, compare_runs, read_run, run_of
from codeprm.evaluation.measure import evaluate
from codeprm.evaluation.page import write_report
from codeprm.evaluation.report import Report
from codeprm.evaluation.samples import read_samples
from codeprm.tables import Directory
from tests.small_run import SmallRun

NAN = float("nan")


def run_with(ids: str, seed: int, *, n_samples: int = 8) -> Run:
    """A problem a letter, with made-up numbers."""
    rng = np.random.default_rng([seed, len(ids)])
    names = [f"problem {letter}" for letter in ids]
    auc = rng.random(len(ids))
    auc[0] = NAN
    return Run(
        title=f"run {seed}",
        n_samples=n_samples,
        problem_ids=list(ids),
        names=names,
        difficulties=["EASY"] * len(ids),
        values={
            "pass@1": rng.random(len(ids)),
            "pass@n": rng.random(len(ids)),
            "orm@n": rng.random(len(ids)),
            "auc_within": auc,
        },
    )


def test_problems_are_matched_by_id_in_any_order() -> None:
    ours, baseline = run_with("abcdefgh", 1), run_with("hgxfeyczd", 2)
    found = compare_runs(ours, baseline, draws=200)
    assert (found.n_matched, found.n_only_ours, found.n_only_baseline) == (6, 2, 3)
    shared = "hgfecd"
    here = [ours.problem_ids.index(letter) for letter in shared]
    there = [baseline.problem_ids.index(letter) for letter in shared]
    for row in found.differences:
        differences = ours.values[row.metric][here] - baseline.values[row.metric][there]
        known = ~np.isnan(differences)
        assert row.n_problems == known.sum()
        assert row.difference.value == pytest.approx(differences[known].mean())
        assert row.difference.value == pytest.approx(row.ours.value - row.baseline.value)
        assert row.difference.low <= row.difference.value <= row.difference.high
    assert [row.metric for row in found.differences] == ["pass@1", "pass@n", "orm@n", "auc_within"]


def test_changes_are_the_largest_first() -> None:
    ours, baseline = run_with("abcdefgh", 1), run_with("abcdefgh", 2)
    found = compare_runs(ours, baseline, draws=10, most_changes=3)
    sizes = np.abs(ours.values["orm@n"] - baseline.values["orm@n"])
    assert [abs(change.difference) for change in found.changes] == sorted(sizes, reverse=True)[:3]
    assert found.change_metric == "orm@n"
    assert compare_runs(ours, ours, draws=10).changes == ()


def test_run_without_scores_is_compared_by_pass_1() -> None:
    ours, baseline = run_with("abcd", 1), run_with("abcd", 2, n_samples=4)
    blank = {"orm@n": np.full(4, NAN), "auc_within": np.full(4, NAN)}
    found = compare_runs(
        dataclasses.replace(ours, values={**ours.values, **blank}), baseline, draws=10
    )
    assert [row.metric for row in found.differences] == ["pass@1", "pass@n"]
    assert found.change_metric == "pass@1"
    assert not found.same_n


def test_no_common_problem_is_refused() -> None:
    with pytest.raises(DataError, match="'run 1' and 'run 2' have no problem in common"):
        compare_runs(run_with("abc", 1), run_with("xyz", 2))


@pytest.mark.usefixtures("no_figures")
def test_written_report_reads_back_as_it_was_measured(tmp_path: Path) -> None:
    evaluation = evaluate(read_samples(SmallRun(tmp_path).write()), draws=20)
    out = Directory(str(tmp_path / "report"))
    write_report(Report(title="a run", evaluation=evaluation), out)
    read, measured = read_run(out), run_of(evaluation, "a run")
    assert (read.title, read.n_samples) == ("a run", measured.n_samples)
    assert list(read.problem_ids) == list(measured.problem_ids)
    assert list(read.names) == list(measured.names)
    for metric, values in measured.values.items():
        np.testing.assert_allclose(read.values[metric], values)
    assert compare_runs(measured, read, draws=10).changes == ()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("report.json", None, r"no report in .*: give the --out directory of an earlier report"),
        ("report.json", b'{"schema": "other/1"}', r"no report in "),
        ("report.json", b"{", r"report.json cannot be read"),
        ("problems.csv", None, r"problems.csv cannot be read"),
        ("problems.csv", b"\xff\xfe", r"problems.csv cannot be read"),
        ("problems.csv", b"problem_id,name\na,b\n", r"problems.csv has no column difficulty, n_"),
        ("problems.csv", b"problem_id,name\n", r"problems.csv has no problem"),
        (
            "problems.csv",
            b"problem_id,name,difficulty,n_samples,n_passed,pass@n,orm@n,auc_within\na,b,c,x,1,1,1,1\n",
            r"problems.csv holds 'x' where a number should be",
        ),
    ],
)
def test_files_that_are_no_report_are_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    good = {
        "report.json": b'{"schema": "codeprm-report/1", "n_samples": 2}',
        "problems.csv": b"problem_id,name,difficulty,n_samples,n_passed,pass@n,orm@n,auc_within\n"
        b"a,b,c,2,1,1,,\n",
    }
    for file, text in {**good, name: content}.items():
        if text is not None:
            (tmp_path / file).write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_run(Directory(str(tmp_path)))
