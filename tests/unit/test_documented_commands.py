"""Every job command in the documents and in the jobs' own docstrings has flags that exist."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import tyro

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"python jobs/(\w+)\.py((?:\\\n|[^\n`])*)")


def documents() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        fences = re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)
        yield str(path.relative_to(ROOT)), "\n".join(fences)
    for path in sorted(ROOT.glob("jobs/*.py")):
        yield f"jobs/{path.name}", ast.get_docstring(ast.parse(path.read_text())) or ""


def commands() -> Iterator[pytest.param]:  # type: ignore[valid-type]
    for name, text in documents():
        for number, (job, flags) in enumerate(COMMAND.findall(text)):
            yield pytest.param(job, flags.replace("\\\n", " "), id=f"{name}-{number}-{job}")


def load_job(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"job_{name}", ROOT / "jobs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # where the annotations of its dataclass are looked up
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("job", "flags"), list(commands()))
def test_command_parses(job: str, flags: str) -> None:
    arguments = shlex.split(flags, comments=True)
    args = tyro.cli(load_job(job).Args, args=arguments, config=(tyro.conf.OmitArgPrefixes,))
    assert args is not None


def test_every_job_shows_a_command() -> None:
    shown = {job for name, text in documents() if name.startswith("jobs/")
             for job, _ in COMMAND.findall(text)}  # fmt: skip
    assert shown == {path.stem for path in (ROOT / "jobs").glob("*.py")}
