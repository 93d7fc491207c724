"""Which programs become examples, and that every other completion is accounted for."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.records import (
    Completion,
    Example,
    Label,
    Outcome,
    Problem,
    Rejected,
    Trust,
    Verdict,
)
from codeprm.steps.base import Workers
from codeprm.steps.label import (
    LabelConfig,
    Labelled,
    label_problem,
    label_stage,
    require_both_classes,
    split_of,
)
from codeprm.steps.run import run_here
from tests.rows import completion_row, problem_row, read_all, verdict_row, write_directory

PASS, FAIL = Outcome.PASSED, Outcome.WRONG_ANSWER


def labelled(
    problem: Problem, outcomes: Sequence[Outcome | None], programs: list[str] | None = None
) -> list[Labelled]:
    rows = []
    for index, outcome in enumerate(outcomes):
        completion = completion_row(problem, index, programs[index] if programs else None)
        rows.append(Labelled(completion, verdict_row(completion, outcome) if outcome else None))
    return rows


def run(
    rows: list[Labelled], problem: Problem, config: LabelConfig | None = None
) -> tuple[list[Example], Counter[str]]:
    records = list(label_problem(problem, rows, config or LabelConfig()))
    examples = [record for record in records if isinstance(record, Example)]
    dropped = [record for record in records if isinstance(record, Rejected)]
    assert len(examples) + len(dropped) == len(rows)
    return examples, Counter(record.reason for record in dropped)


def test_classes_are_balanced_and_capped() -> None:
    problem = problem_row("a")
    examples, dropped = run(labelled(problem, [PASS] * 9 + [FAIL] * 4), problem)
    assert Counter(example.label for example in examples) == {Label.PASS: 4, Label.FAIL: 4}
    assert dropped == {"not_drawn": 5}
    examples, dropped = run(labelled(problem, [PASS] * 9 + [FAIL] * 4), problem, LabelConfig(cap=2))
    assert Counter(example.label for example in examples) == {Label.PASS: 2, Label.FAIL: 2}
    assert dropped == {"not_drawn": 9}


def test_draw_is_by_seed_and_not_the_first_ones() -> None:
    problem = problem_row("a")
    rows = labelled(problem, [PASS] * 30 + [FAIL] * 3)

    def drawn(seed: int) -> set[str]:
        examples, _ = run(list(rows), problem, LabelConfig(seed=seed))
        return {example.program for example in examples if example.label is Label.PASS}

    assert drawn(0) == drawn(0)
    assert len({frozenset(drawn(seed)) for seed in range(5)}) > 1
    assert any(drawn(seed) != {"print(0)", "print(1)", "print(2)"} for seed in range(3))


def test_equal_programs_count_once() -> None:
    problem = problem_row("a")
    rows = labelled(problem, [PASS, PASS, FAIL, FAIL], ["print(1)", "print(1)", "x", "y"])
    examples, dropped = run(rows, problem)
    assert [example.label for example in examples] == [Label.PASS, Label.FAIL]
    assert dropped == {"duplicate_program": 1, "not_drawn": 1}


def test_equal_programs_that_disagree_teach_nothing() -> None:
    problem = problem_row("a")
    rows = labelled(problem, [PASS, FAIL, PASS, FAIL], ["same", "same", "good", "bad"])
    examples, dropped = run(rows, problem)
    assert {example.program for example in examples} == {"good", "bad"}
    assert dropped == {"conflicting_verdicts": 2}


def test_unknown_labels_missing_verdicts_and_missing_programs_are_counted() -> None:
    problem = problem_row("a")
    outcomes = [PASS, FAIL, Outcome.FLAKY, Outcome.QUARANTINED, None, Outcome.NO_PROGRAM]
    rows = labelled(problem, outcomes, ["a", "b", "c", "d", "e", ""])
    examples, dropped = run(rows, problem)
    assert {example.program for example in examples} == {"a", "b"}
    assert dropped == {"unknown_label": 2, "no_verdict": 1, "no_program": 1}


def test_verdicts_from_before_the_label_gate_are_held_to_it() -> None:
    problem = dataclasses.replace(problem_row("a"), trust=Trust.PASSES)
    rows = labelled(problem, [PASS, FAIL, Outcome.RUNTIME_ERROR], ["a", "b", "c"])
    examples, dropped = run(rows, problem)
    assert {example.program: example.label for example in examples} == {
        "a": Label.PASS,
        "c": Label.FAIL,
    }
    assert dropped == {"unknown_label": 1}
    weak = dataclasses.replace(problem, trust=Trust.FAILS)
    assert run(rows, weak) == ([], {"unknown_label": 1, "one_class": 2})


@pytest.mark.parametrize("outcome", [PASS, FAIL])
def test_problem_of_one_class_gives_no_examples(outcome: Outcome) -> None:
    problem = problem_row("a")
    examples, dropped = run(labelled(problem, [outcome] * 3), problem)
    assert examples == []
    assert dropped == {"one_class": 3}


def test_example_holds_prompt_and_program() -> None:
    problem = problem_row("a", starter_code="def f():")
    examples, _ = run(labelled(problem, [PASS, FAIL]), problem)
    assert examples[0].prompt == '"""\nSolve a.\n"""\ndef f():\n'
    assert examples[0].program == "print(0)"
    assert examples[0].weight == 1.0
    assert len({example.example_id for example in examples}) == 2


def test_split_holds_out_whole_problems_by_fraction() -> None:
    ids = [f"problem-{number}" for number in range(4000)]
    splits = Counter(split_of(i, LabelConfig(calibration_fraction=0.25)) for i in ids)
    assert 0.22 < splits["calibration"] / 4000 < 0.28
    assert {split_of(i, LabelConfig(calibration_fraction=0.0)) for i in ids} == {"train"}
    held_out = [i for i in ids if split_of(i, LabelConfig(calibration_fraction=0.25)) != "train"]
    assert any(
        split_of(i, LabelConfig(calibration_fraction=0.25, seed=1)) == "train" for i in held_out
    )


def directories(path: Path, outcomes: list[Outcome]) -> dict[str, str]:
    problems = [problem_row(f"p{number}") for number in range(4)]
    completions, verdicts = [], []
    for problem in problems:
        for row in labelled(problem, list(outcomes)):
            assert row.verdict is not None
            completions.append(row.completion)
            verdicts.append(row.verdict)
    return {
        "data": write_directory(path / "data", problems, (Problem,), buckets=3),
        "completions": write_directory(path / "completions", completions, (Completion,)),
        "verdicts": write_directory(path / "verdicts", verdicts, (Verdict,), buckets=5),
    }


def test_stage_joins_tables_of_different_divisions(tmp_path: Path) -> None:
    uris = directories(tmp_path, [PASS, FAIL, FAIL])
    out = str(tmp_path / "examples")
    manifest = run_here(label_stage(LabelConfig(), **uris, out=out, workers=Workers()))
    require_both_classes(out, manifest)
    examples = read_all(out, Example)
    assert len(examples) == 8
    assert manifest["rows"] == {"examples": 8, "rejected": 4}
    assert len(read_all(out, Rejected)) == 4


def test_table_of_one_class_is_a_user_error_that_says_why(tmp_path: Path) -> None:
    uris = directories(tmp_path, [FAIL, FAIL])
    out = str(tmp_path / "examples")
    manifest = run_here(label_stage(LabelConfig(), **uris, out=out, workers=Workers()))
    with pytest.raises(DataError, match=r"no problem has both .* \(8 one_class\): sample more"):
        require_both_classes(out, manifest)


def test_unfinished_input_is_refused(tmp_path: Path) -> None:
    uris = directories(tmp_path, [PASS, FAIL])
    (tmp_path / "verdicts" / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"no manifest in .*verdicts"):
        label_stage(LabelConfig(), **uris, out=str(tmp_path / "out"), workers=Workers())


def test_the_larger_class_may_give_more() -> None:
    problem = problem_row("a")
    rows = labelled(problem, [PASS] * 9 + [FAIL] * 2)
    examples, dropped = run(rows, problem, LabelConfig(max_ratio=3.0))
    assert Counter(example.label for example in examples) == {Label.PASS: 6, Label.FAIL: 2}
    assert dropped == {"not_drawn": 3}
    examples, _ = run(rows, problem, LabelConfig(cap=5, max_ratio=3.0))
    assert Counter(example.label for example in examples) == {Label.PASS: 5, Label.FAIL: 2}


@pytest.mark.parametrize("config", [{"max_ratio": 0.5}, {"cap": 0}])
def test_a_draw_of_nothing_is_refused(config: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        LabelConfig(**config)  # type: ignore[arg-type]
