"""Sampling over Ray with a real vLLM engine that is killed half-way."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import ray

from codeprm.backends.base import Sampling
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.distributed.run import run_stage
from codeprm.records import Case, Completion, Problem, Solution
from codeprm.steps.base import Workers
from codeprm.steps.sample import SampleConfig, sample_stage
from tests.models import tiny_generator
from tests.rows import problem_row, read_all, write_directory

# Ray, vLLM and torch warn of each other's interfaces
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PROBLEMS = [problem_row(f"p{number}") for number in range(20)]
CONFIG = SampleConfig(n=30, samples_per_unit=150, sampling=Sampling(max_tokens=60))


def engines() -> list[int]:
    """Processes that vLLM named after what they are."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"VLLM::EngineCore" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def kill_an_engine(out: Path, others: set[int], killed: list[int]) -> None:
    """Once samples have been written, and once only."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        started = [*(out / "spool").glob("*"), *(out / "commits").glob("*.json")]
        ours = [pid for pid in engines() if pid not in others]
        if started and ours:
            os.kill(ours[0], signal.SIGKILL)
            killed.append(ours[0])
            return
        time.sleep(0.05)


def test_a_dead_engine_costs_its_worker_and_no_sample(tmp_path: Path) -> None:
    data = write_directory(tmp_path / "data", PROBLEMS, (Problem, Case, Solution))
    model = tiny_generator(tmp_path / "generator")
    out = tmp_path / "out"
    stage = sample_stage(
        CONFIG,
        VllmConfig(model=str(model), max_num_seqs=8, cpu_kv_cache_gb=0.1),
        data=data,
        out=str(out),
        workers=Workers(max_workers=1, units_in_flight=2),
    )
    killed: list[int] = []
    killer = threading.Thread(target=kill_an_engine, args=(out, set(engines()), killed))
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        killer.start()
        manifest = run_stage(stage)
    finally:
        ray.shutdown()
        killer.join()
    assert killed
    assert manifest["rows"] == {"completions": len(PROBLEMS) * CONFIG.n, "rejected": 0}
    rows = read_all(str(out), Completion)
    assert len({row.completion_id for row in rows if isinstance(row, Completion)}) == len(rows)
