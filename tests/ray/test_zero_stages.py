"""However ZeRO divides a model between two ranks, it learns what one rank learns by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.ranks import KINDS, STEPS

ROOT = Path(__file__).resolve().parents[2]
STAGES = (0, 1, 2, 3)


class Learnt(NamedTuple):
    """What a group of ranks told and wrote."""

    told: dict[str, Any]
    folder: Path

    def weights(self, name: str) -> dict[str, Any]:
        from safetensors.numpy import load_file

        return load_file(self.folder / f"{name}.safetensors")


def group(folder: Path, workers: int, stages: tuple[int, ...]) -> list[subprocess.Popen[str]]:
    folder.mkdir()
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks", str(rank), str(workers), str(folder / "store"),
             str(folder), *map(str, stages)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(workers)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learnt, Learnt]:
    """By one rank without ZeRO, and by two with each stage."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks = group(folder / "one", 1, (0,)) + group(folder / "two", 2, STAGES)
    try:
        for rank in ranks:
            printed, _ = rank.communicate(timeout=300)
            assert rank.returncode == 0, printed[-4000:]
    finally:
        for rank in ranks:
            rank.kill()
    one, two = (
        Learnt(json.loads((folder / name / "told.json").read_text()), folder / name)
        for name in ("one", "two")
    )
    return one, two


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_follow_the_curve_of_one(
    kind: str, stage: int, learnt: tuple[Learnt, Learnt]
) -> None:
    one, two = learnt
    expected, found = one.told[f"{kind}-0"], two.told[f"{kind}-{stage}"]
    assert len(found["losses"]) == STEPS
    assert len(set(expected["losses"])) == STEPS
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["norms"] == pytest.approx(expected["norms"], rel=1e-4)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_end_with_the_weights_of_one(
    kind: str, stage: int, learnt: tuple[Learnt, Learnt]
) -> None:
    one, two = learnt
    expected, found = one.weights(f"{kind}-0"), two.weights(f"{kind}-{stage}")
    assert found.keys() == expected.keys()
    apart = {
        name: float(np.linalg.norm(found[name] - weight) / np.linalg.norm(weight))
        for name, weight in expected.items()
    }
    assert {name: by for name, by in apart.items() if by > 1e-4} == {}
