"""The command that measures training on a GPU, at toy size on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_gpu.py"


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    # the same on a machine with a GPU
    env = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(SCRIPT), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=env)


def test_every_arm_tells_its_speed_and_memory() -> None:
    done = run(
        "--model", "tiny", "--problems", "1", "--programs", "4", "--rounds", "1",
        "--pad-to", "512", "--budget", "1024",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["device"], result["examples"]) == ("cpu", 4)
    computed = {name: arm["tokens_computed"] for name, arm in result["arms"].items()}
    assert computed["reference"] == 4 * 512
    assert computed["reference"] > computed["padded"] >= computed["packed"] > computed["shared"]
    for arm in result["arms"].values():
        assert arm["useful_tokens_per_s"]["median"] > 0
        assert arm["peak_gib"] > 0
        # no figure without a device whose peak is known
        assert arm["useful_mfu"] is None
