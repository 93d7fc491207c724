"""The documented schema of report.json against reports, and against what must not pass."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from codeprm.evaluation.measure import evaluate
from codeprm.evaluation.report import Report, report_values
from codeprm.evaluation.samples import read_samples
from tests.small_run import SmallRun

SCHEMA: dict[str, Any] = json.loads(
    (resources.files("codeprm.evaluation") / "report.schema.json").read_text()
)


@pytest.fixture(scope="module")
def values(small: Report) -> dict[str, Any]:
    """With every part that a report can have."""
    return plain(small)


def plain(report: Report) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(report_values(report)))
    return values


def faults(values: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(values)]


def test_schema_is_one_and_reports_keep_to_it(values: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert faults(values) == []
    assert values["comparison"]["n_matched"] == 14
    assert len(values["report_card"]["difficulties"]) == 4


def test_report_of_the_generator_alone_keeps_to_it(tmp_path: Path) -> None:
    sources = dataclasses.replace(SmallRun(tmp_path).write(), scores=None, problems=None)
    evaluation = evaluate(read_samples(sources), draws=20)
    values = plain(Report(title="a run", evaluation=evaluation))
    assert faults(values) == []
    assert values["report_card"] is values["comparison"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "codeprm-report/0"),
        ("pass@1", 52.8),
        ("orm_gain", {"value": 0.1}),
        ("orm_gain", {"value": 0.1, "ci95": [0.0, 0.1, 0.2]}),
        ("curves", {"n": [1], "pass@n": {"value": [0.5]}, "orm@n": {}}),
        ("funnel", [{"stage": "sample"}]),
        ("selectors", [{"name": "orm"}]),
        ("comparison", {"title": "a"}),
    ],
)
def test_schema_refuses_what_a_reader_could_not_use(
    values: dict[str, Any], key: str, value: object
) -> None:
    assert faults({**values, key: value})


def test_schema_requires_what_a_reader_starts_with(values: dict[str, Any]) -> None:
    required = SCHEMA["required"]
    rest = {name: value for name, value in values.items() if name not in required}
    assert faults(rest) == [f"{key!r} is a required property" for key in required]
