"""From tables to the report: what is joined, what is left out, what the files hold."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import random
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.evaluation.intervals import Method
from codeprm.evaluation.lineage.funnel import trace_funnel
from codeprm.evaluation.make import ReportConfig, ReportInputs, make_report
from codeprm.evaluation.measure import curve_points, evaluate
from codeprm.evaluation.observed import Observed, Runs
from codeprm.evaluation.page import render_page
from codeprm.evaluation.page.cautions import borrowed_tests_warning
from codeprm.evaluation.report import Report, report_values
from codeprm.evaluation.samples import Samples, Sources, read_samples
from codeprm.evaluation.text_table import results_table
from codeprm.evaluation.verdict_changes import compare_verdicts
from codeprm.records import Completion, Outcome, Problem, Record, Score, Trust, Verdict
from codeprm.tables import Directory
from tests.rows import completion_row, problem_row, score_row, verdict_row, write_directory

PASS, FAIL = Outcome.PASSED, Outcome.WRONG_ANSWER
NASTY = "<script>alert(1)</script>"


class Study:
    """Ten problems of eight samples; the margin knows half of the truth."""

    def __init__(self, path: Path, *, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.problems = [
            problem_row(f"{NASTY}{number}", difficulty=("HARD", "EASY")[number % 2])
            for number in range(10)
        ]
        self.completions: list[Record] = []
        self.verdicts: list[Record] = []
        self.scores: list[Record] = []
        for number, problem in enumerate(self.problems):
            for index in range(8):
                passes = rng.random() < (number + 1) / 12
                program = "x" * rng.randint(1, 30)
                completion = completion_row(problem, index, program, logprob=-rng.random())
                self.completions.append(completion)
                self.verdicts.append(verdict_row(completion, PASS if passes else FAIL))
                self.scores.append(score_row(completion, passes + rng.gauss(0, 1)))
        self._path = path

    def inputs(self, *, buckets: int = 2) -> ReportInputs:
        def write(name: str, rows: Sequence[Record], table: type[Record], job: str, n: int) -> str:
            given = {} if name == "completions" else {"in": str(self._path / "completions")}
            path = self._path / name
            return write_directory(path, rows, (table,), job=job, buckets=n, inputs=given)

        return ReportInputs(
            completions=write("completions", self.completions, Completion, "sample", 2),
            verdicts=write("verdicts", self.verdicts, Verdict, "execute", buckets),
            scores=write("scores", self.scores, Score, "score", 2),
            data=write("data", self.problems, Problem, "prepare", 3),
        )

    def samples(self, *, buckets: int = 2) -> Samples:
        return read_samples(sources(self.inputs(buckets=buckets)))


def sources(inputs: ReportInputs) -> Sources:
    return Sources.at(
        completions=inputs.completions,
        verdicts=inputs.verdicts,
        scores=inputs.scores,
        problems=inputs.data,
    )


def test_samples_are_joined_by_problem_and_index(tmp_path: Path) -> None:
    study = Study(tmp_path)
    random.Random(3).shuffle(study.completions)
    samples = study.samples()
    assert samples.offsets.tolist() == list(range(0, 81, 8))
    assert samples.index.tolist() == list(range(8)) * 10
    truth = {v.completion_id: v.outcome is PASS for v in study.verdicts if isinstance(v, Verdict)}
    margin = {s.completion_id: s.margin for s in study.scores if isinstance(s, Score)}
    for at, problem_id in enumerate(samples.problem_ids):
        for index in range(8):
            completion_id = f"{problem_id}:gen:{index}"
            assert samples.passed[at * 8 + index] == truth[completion_id]
            assert samples.margin[at * 8 + index] == margin[completion_id]
    assert sorted(set(samples.difficulties)) == ["EASY", "HARD"]


def test_tables_of_different_divisions_give_the_same_samples(tmp_path: Path) -> None:
    same = Study(tmp_path / "same").samples(buckets=2)
    other = Study(tmp_path / "other").samples(buckets=5)
    assert same.problem_ids == other.problem_ids
    assert same.passed.tolist() == other.passed.tolist()
    assert same.margin.tolist() == other.margin.tolist()


def test_unknown_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    study = Study(tmp_path)
    lone = problem_row("lone")
    first, second = completion_row(lone, 0), completion_row(lone, 1)
    study.completions += [first, second]
    study.verdicts.append(verdict_row(first, Outcome.FLAKY))
    partly = study.completions[0]
    assert isinstance(partly, Completion)
    study.verdicts[0] = verdict_row(partly, Outcome.SANDBOX_ERROR)
    samples = study.samples()
    assert samples.excluded == {"flaky": 1, "no_verdict": 1, "problems": 1, "sandbox_error": 1}
    assert (samples.n_problems, samples.n_samples, len(samples.passed)) == (10, 8, 79)
    assert samples.outcomes["flaky"] == 1
    assert evaluate(samples, draws=10).n_short == 1


def test_problems_whose_tests_tell_one_side_only_are_left_out(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.problems[3] = dataclasses.replace(study.problems[3], trust=Trust.PASSES)
    withheld = study.completions[8 * 5]
    assert isinstance(withheld, Completion)
    study.verdicts[8 * 5] = verdict_row(withheld, Outcome.QUARANTINED)
    samples = study.samples()
    assert samples.excluded == {"quarantined": 1, "one_sided_tests": 8 + 7, "problems": 2}
    doubted = {study.problems[3].problem_id, study.problems[5].problem_id}
    assert len(samples.problem_ids) == 8
    assert not doubted & set(samples.problem_ids)


def test_sample_without_score_is_chosen_last_and_not_in_the_auc(tmp_path: Path) -> None:
    problem = problem_row("a")
    rows = [completion_row(problem, index) for index in range(3)]
    study = Study(tmp_path)
    study.problems, study.completions = [problem], list(rows)
    study.verdicts = [verdict_row(rows[0], PASS), *(verdict_row(row, FAIL) for row in rows[1:])]
    study.scores = [score_row(rows[1], -5.0)]
    evaluation = evaluate(study.samples(), draws=10)
    assert evaluation.n_scored == 1
    assert evaluation.overall.orm_n.value == 0.0
    assert evaluation.orm_curve.value.tolist() == pytest.approx([1 / 3, 1 / 6, 0.0])
    assert math.isnan(evaluation.overall.auc.value)


def test_wrong_directories_are_refused_in_a_sentence(tmp_path: Path) -> None:
    one, two = Study(tmp_path / "one").inputs(), Study(tmp_path / "two")
    for number, problem in enumerate(two.problems):
        two.problems[number] = problem_row(f"other {problem.name}")
    two.completions = [completion_row(p, 0) for p in two.problems]
    two.verdicts = [verdict_row(c, PASS) for c in two.completions if isinstance(c, Completion)]
    two.scores = [score_row(c, 0.0) for c in two.completions if isinstance(c, Completion)]
    other = two.inputs()
    with pytest.raises(DataError, match=r"no verdict in .* is about a completion in"):
        read_samples(sources(ReportInputs(completions=one.completions, verdicts=other.verdicts)))
    mixed = ReportInputs(completions=one.completions, verdicts=one.verdicts, scores=other.scores)
    with pytest.raises(DataError, match=r"no score in .* is about a completion in"):
        read_samples(sources(mixed))


def test_nan_margin_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path)
    row = study.completions[0]
    assert isinstance(row, Completion)
    study.scores[0] = score_row(row, math.nan)
    with pytest.raises(DataError, match=r"1 margins in .* not finite"):
        study.samples()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One report with everything in it."""
    path = tmp_path_factory.mktemp("study")
    study = Study(path)
    inputs = study.inputs()
    imported = [
        verdict_row(row, Outcome.TIME_LIMIT, detail=NASTY)
        for row in study.completions
        if isinstance(row, Completion)
    ]
    theirs = write_directory(path / "imported", imported, (Verdict,))
    text = make_report(
        ReportConfig(title=NASTY, draws=300),
        dataclasses.replace(inputs, imported=theirs),
        out=str(path / "report"),
        extra={"elapsed_s": 12.5, "peak_rss_gib": 1.5, "recipe": "tiny"},
    )
    return Written(path / "report", text)


class Written(NamedTuple):
    path: Path
    text: str


def test_report_json_has_the_promised_keys_and_agrees_with_itself(written: Written) -> None:
    report: dict[str, Any] = json.loads((written.path / "report.json").read_text())
    assert report["schema"] == "codeprm-report/1"
    assert (report["n_problems"], report["n_samples"], report["n_completions"]) == (10, 8, 80)
    gain = report["orm_gain"]
    assert gain["value"] == pytest.approx(report["orm@n"] - report["pass@1"])
    assert gain["ci95"][0] < gain["value"] < gain["ci95"][1]
    assert report["pass@1"] < report["orm@n"] <= report["pass@n"]
    assert 0.5 < report["orm_auc_within"]["value"] < 1
    low, high = report["orm_auc_within"]["ci95"]
    assert low < report["orm_auc_within"]["value"] < high
    assert report["curves"]["n"] == list(range(1, 9))
    assert report["curves"]["pass@n"]["value"][0] == pytest.approx(report["pass@1"])
    assert report["curves"]["orm@n"]["value"][-1] == pytest.approx(report["orm@n"])
    by_name = {selector["name"]: selector for selector in report["selectors"]}
    assert by_name["random"]["value"] == pytest.approx(report["pass@1"])
    assert by_name["orm"]["gain"] == report["orm_gain"]
    assert [group["difficulty"] for group in report["by_difficulty"]] == ["EASY", "HARD"]
    assert (report["elapsed_s"], report["peak_rss_gib"], report["recipe"]) == (12.5, 1.5, "tiny")
    assert [row["stage"] for row in report["funnel"]] == ["sample", "execute", "score"]


def test_further_ways_to_choose_are_told_at_every_n_and_by_difficulty(written: Written) -> None:
    report: dict[str, Any] = json.loads((written.path / "report.json").read_text())
    further = report["further"]
    assert list(further) == ["orm_top_2", "orm_top_5"]
    reached = [report["orm@n"], *(row["value"] for row in further.values()), report["pass@n"]]
    assert reached == sorted(reached)
    assert reached[0] < reached[-1]
    curves = report["curves"]["further"]
    for name, row in further.items():
        groups = [(g["n_problems"], g["further"][name]["value"]) for g in report["by_difficulty"]]
        mean = sum(n * value for n, value in groups) / report["n_problems"]
        assert mean == pytest.approx(row["value"])
        assert curves[name][-1] == pytest.approx(row["value"])
        # of one or two samples, or of k, all are tried
        assert curves[name][1] == pytest.approx(report["curves"]["pass@n"]["value"][1])
    for group in report["report_card"]["difficulties"]:
        assert {row["name"] for row in group["nulls"]} >= {"longest", "shortest", "first"}


def test_terminal_shows_results_differences_and_funnel(written: Written) -> None:
    for words in (
        "note: Only 10 problems",
        "orm@8",
        "AUC within problems",
        "verdicts differ",
        "time_limit",
        "execute",
    ):
        assert words in written.text
    assert max(len(line) for line in written.text.splitlines()) <= 140


def test_csv_tables_can_be_read_back(written: Written) -> None:
    rows = {
        path.stem: list(csv.DictReader(io.StringIO(path.read_text())))
        for path in written.path.glob("*.csv")
    }
    assert set(rows) == {
        "curves", "selectors", "selector_differences", "by_difficulty", "problems", "funnel",
    }  # fmt: skip
    assert len(rows["problems"]) == 10
    assert sum(int(row["n_passed"]) for row in rows["problems"]) > 0
    assert rows["problems"][0]["name"].startswith(NASTY)
    assert float(rows["curves"][0]["pass@n_low"]) <= float(rows["curves"][0]["pass@n"])


def test_report_without_scores_is_one_of_the_generator(tmp_path: Path) -> None:
    inputs = Study(tmp_path).inputs()
    alone = ReportInputs(completions=inputs.completions, verdicts=inputs.verdicts)
    report = Report(title="t", evaluation=evaluate(read_samples(sources(alone)), draws=20))
    values = report_values(report)
    assert values["orm@n"] is None
    assert values["orm_gain"] == {"value": None, "ci95": [None, None]}
    assert "orm" not in {selector["name"] for selector in values["selectors"]}
    page = render_page(report, {})
    assert "orm@8, the" not in page
    assert "nan" not in Page(page).text
    assert "nan" not in results_table(report)


def test_costs_that_are_not_known_and_no_difference_read_well(tmp_path: Path) -> None:
    samples = Study(tmp_path).samples()
    nothing = np.zeros(samples.n_problems, dtype=np.int64)
    runs = Runs(
        public_passed=samples.passed.astype(np.float64),
        outputs=np.zeros((len(samples.passed), 0), dtype=np.int64),
        executions=np.zeros(len(samples.passed)),
        cpu_s=np.zeros(len(samples.passed)),
        n_public=nothing,
        n_probes=nothing,
    )
    same = dataclasses.replace(samples, margin=-samples.index.astype(np.float64))
    observed = Observed(program=np.arange(len(samples.passed)), runs=runs)
    text = results_table(Report(title="t", evaluation=evaluate(same, observed=observed, draws=20)))
    assert "public@8" in text
    assert "nan" not in text
    assert "orm over first: +0.00 (+0.00 to +0.00)" in text


@pytest.mark.usefixtures("no_figures")
def test_the_method_of_the_intervals_is_asked_for_and_told(tmp_path: Path) -> None:
    inputs = Study(tmp_path).inputs()
    gains = {}
    for method in get_args(Method):
        out = tmp_path / method
        make_report(ReportConfig(draws=300, seed=3, method=method), inputs, out=str(out))
        report = json.loads((out / "report.json").read_text())
        assert report["resampling"] == {"seed": 3, "draws": 300, "method": method}
        gains[method] = report["orm_gain"]
    assert len({gain["value"] for gain in gains.values()}) == 1
    assert len({tuple(gain["ci95"]) for gain in gains.values()}) == 3
    (low, high), (plain_low, plain_high) = gains["expanded"]["ci95"], gains["percentile"]["ci95"]
    assert low < plain_low < plain_high < high


def test_what_does_not_go_together_is_refused_in_a_sentence(tmp_path: Path) -> None:
    inputs = Study(tmp_path).inputs()
    alone = dataclasses.replace(inputs, scores=None, other_scores=inputs.scores)
    with pytest.raises(ConfigError, match="--other-scores are held beside --scores"):
        make_report(ReportConfig(draws=20), alone, out=str(tmp_path / "report"))
    with pytest.raises(ConfigError, match="holds the sample job's tables"):
        make_report(ReportConfig(draws=20), inputs, out=inputs.completions)
    assert not (Path(inputs.completions) / "report.json").exists()


@pytest.mark.parametrize(
    ("config", "warns"),
    [({"n_examples": 2}, True), ({"n_examples": 0}, False), ({}, False), (None, False)],
)
def test_hidden_tests_that_stand_for_public_ones_are_told(
    config: dict[str, int] | None, warns: bool
) -> None:
    assert bool(borrowed_tests_warning({"config": config})) is warns
    assert not borrowed_tests_warning(None)


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "href", "xlink:href", "action")
        self.links += [value for name, value in attrs if name in names and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_self_contained_escaped_and_made_for_phones(written: Written) -> None:
    html = (written.path / "index.html").read_text()
    page = Page(html)
    assert page.tags.count("script") == 1
    assert NASTY in page.text
    assert page.tags.count("svg") == 6
    assert [link for link in page.links if not link.startswith("#")] == []
    assert "@import" not in html
    assert "url(http" not in html
    assert '<meta name="viewport" content="width=device-width' in html
    assert "finishes within our CPU limit a test" in page.text


def test_curve_has_every_n_until_there_are_too_many() -> None:
    assert curve_points(32) == tuple(range(1, 33))
    many = curve_points(5000)
    assert (many[0], many[-1]) == (1, 5000)
    assert len(many) <= 256
    assert list(many) == sorted(set(many))


def test_changed_labels_are_counted_by_kind_with_a_reason() -> None:
    rows = [completion_row(problem_row("a"), index) for index in range(6)]
    theirs = [Outcome.TIME_LIMIT, Outcome.TIME_LIMIT, PASS, FAIL, Outcome.RUNTIME_ERROR]
    ours = [PASS, PASS, FAIL, Outcome.FLAKY, FAIL]
    differences = compare_verdicts(
        [verdict_row(row, outcome) for row, outcome in zip(rows, ours, strict=False)],
        [verdict_row(row, outcome) for row, outcome in zip(rows[:6], [*theirs, PASS], strict=True)],
    )
    assert (differences.n_compared, differences.n_only_imported) == (5, 1)
    assert (differences.n_same_label, differences.n_same_outcome) == (1, 0)
    assert differences.n_changed == 4
    kinds = {(cause.imported, cause.ours): cause for cause in differences.causes}
    assert {kind: cause.count for kind, cause in kinds.items()} == {
        (Outcome.TIME_LIMIT, PASS): 2, (PASS, FAIL): 1, (FAIL, Outcome.FLAKY): 1,
    }  # fmt: skip
    assert "within our CPU limit" in kinds[Outcome.TIME_LIMIT, PASS].reason
    assert "withheld" in kinds[FAIL, Outcome.FLAKY].reason


def test_funnel_follows_inputs_and_counts_rows_and_reasons(tmp_path: Path) -> None:
    study = Study(tmp_path)
    inputs = study.inputs()
    assert inputs.scores is not None
    rows = trace_funnel([Directory(inputs.verdicts), Directory(inputs.scores)])
    assert [(row.stage, row.rows_in, row.rows_out) for row in rows] == [
        ("sample", None, 80), ("execute", 80, 80), ("score", 80, 80),
    ]  # fmt: skip
    assert {row.seconds for row in rows} == {1.0}
    assert trace_funnel([Directory(str(tmp_path / "absent"))]) == []
