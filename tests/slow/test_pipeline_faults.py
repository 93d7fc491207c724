"""SIGKILL at points of the whole recipe: the re-run finishes, no row twice, no row lost.

One run in one directory: the driver dies while solutions are verified; then a trainer and then a
sampling actor die under a driver that lives on; then the driver dies while programs are scored.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from codeprm.records import Completion, Problem, Score, Verdict
from codeprm.tables import open_directory

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(1800)


# Ray's own agents notice late that their raylet is gone; they hold none of our work
RAY_AGENTS = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")


def start_driver(out: Path) -> psutil.Popen:
    with (out.parent / "driver.log").open("ab") as log:
        return psutil.Popen(
            [sys.executable, "-m", "tests.micro", str(out)], cwd=ROOT, stdout=log, stderr=log
        )


def wait_for(condition: Callable[[], object], driver: psutil.Process, *, what: str) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert driver.is_running(), f"the driver ended before {what}"
        assert driver.status() != psutil.STATUS_ZOMBIE, f"the driver ended before {what}"
        assert time.monotonic() < deadline, f"no {what} in 600 s"
        time.sleep(0.1)


def workers(driver: psutil.Process, title: str) -> Iterator[psutil.Process]:
    for process in driver.children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith(f"ray::{title}"):
                yield process
        except psutil.Error:  # it ended meanwhile
            continue


def kill_tree_head(driver: psutil.Process) -> None:
    """SIGKILL of the driver alone; what it started must end by itself."""
    family = [p for p in driver.children(recursive=True) if p.name() not in RAY_AGENTS]
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not [process.name() for process in alive if process.name() not in RAY_AGENTS]


def parts(out: Path, name: str) -> int:
    return len(list((out / name / "commits").glob("*.json")))


def test_run_survives_four_kills(tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start_driver(out)
    wait_for(lambda: parts(out, "train/verified") >= 1, driver, what="first verified part")
    kill_tree_head(driver)
    assert not (out / "train/verified/manifest.json").exists()

    driver = start_driver(out)
    checkpoints = out / "first/generator/work"
    wait_for(lambda: list(checkpoints.glob("*/checkpoint_*")), driver, what="first checkpoint")
    next(workers(driver, "RayTrainWorker")).send_signal(signal.SIGKILL)
    wait_for(lambda: (out / "first/samples/started.json").exists(), driver, what="sampling")
    wait_for(lambda: list(workers(driver, "MapWorker")), driver, what="sampling actor")
    next(workers(driver, "MapWorker")).send_signal(signal.SIGKILL)
    wait_for(lambda: (out / "test/scores/started.json").exists(), driver, what="scoring")
    kill_tree_head(driver)
    assert not (out / "report").exists()

    driver = start_driver(out)
    wait_for(lambda: (out / "report/report.json").exists(), driver, what="report")
    driver.wait(timeout=120)
    ids = {}
    for name, record in [("samples", Completion), ("verdicts", Verdict), ("scores", Score)]:
        directory = open_directory(str(out / "test" / name))
        ids[name] = sorted(row.completion_id for row in directory.read_records(record))  # type: ignore[attr-defined]
        assert len(ids[name]) == len(set(ids[name]))
    problems = list(open_directory(str(out / "test/verified")).read_records(Problem))
    assert len(ids["samples"]) == 4 * len(problems) == 32
    assert ids["verdicts"] == ids["samples"]
    assert set(ids["scores"]) <= set(ids["samples"])
