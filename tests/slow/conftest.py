"""A training run that nothing happens to, which interrupted ones must equal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interrupted import FLAGS, solutions_in

ROOT = Path(__file__).resolve().parents[2]


def generator_command(data: str, out: Path) -> list[str]:
    flags = [part for name, value in FLAGS.items() for part in (f"--{name}", str(value))]
    job = str(ROOT / "jobs/train_generator.py")
    return [sys.executable, job, "--data", data, "--out", str(out), "--recipe", "tiny", *flags]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return solutions_in(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="session")
def calm_generator(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calm") / "model"
    done = subprocess.run(
        generator_command(data, out), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return out
