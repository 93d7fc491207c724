"""Relative places are those of the command's directory, whoever opens them later."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codeprm.places import ModelPlace, Place, absolute, with_absolute_places


@dataclass(frozen=True)
class Engine:
    model: ModelPlace
    dtype: str = "auto"


@dataclass(frozen=True)
class Args:
    out: Place
    inputs: tuple[Place, ...]
    engine: Engine
    other: Place | None = None
    name: str = "runs"
    nested: Engine = field(default_factory=lambda: Engine("bigcode/starcoder2-3b"))


def test_marked_fields_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/generator").mkdir(parents=True)
    args = with_absolute_places(
        Args(out="runs/x", inputs=("a", "s3://b/c"), engine=Engine("runs/generator"))
    )
    assert args.out == f"{tmp_path}/runs/x"
    assert args.inputs == (f"{tmp_path}/a", "s3://b/c")
    assert args.engine.model == f"{tmp_path}/runs/generator"
    # neither a path nor a place: a name on the Hub, a field without a mark, nothing given
    assert args.nested.model == "bigcode/starcoder2-3b"
    assert args.name == "runs"
    assert args.other is None


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert absolute("~/runs") == "/somewhere/runs"


@pytest.mark.parametrize("flag", ["out", "data", "completions", "verdicts", "examples"])
def test_no_job_takes_a_path_without_the_mark(flag: str) -> None:
    for job in sorted((Path(__file__).parents[2] / "jobs").glob("*.py")):
        assert f"    {flag}: str" not in job.read_text(), job.name


def test_one_place_has_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b/./c/") == absolute("b/c") == f"{tmp_path}/b/c"
