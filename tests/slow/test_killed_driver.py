"""SIGKILL of the driver in the middle of an epoch: the same command goes on to the same model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.interrupted import ENVIRONMENT, listed, require_equal, wait_for
from tests.slow.conftest import generator_command

pytestmark = pytest.mark.timeout(900)
# Ray's own agents notice late that their raylet is gone; they hold none of our work
RAY_AGENTS = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")


def test_a_killed_driver_leaves_no_trace_in_the_model_nor_on_the_machine(
    data: str, calm_generator: Path, tmp_path: Path
) -> None:
    out = tmp_path / "harmed/model"
    command, environment = generator_command(data, out), {**os.environ, **ENVIRONMENT}
    with (tmp_path / "driver.log").open("ab") as log:
        driver = psutil.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            wait_for(lambda: listed(out) or driver.poll() is not None, what="checkpoint")
            assert driver.poll() is None, "the run ended before its driver could be killed"
            family = driver.children(recursive=True)
            ours = [each for each in family if each.name() not in RAY_AGENTS]
        finally:
            driver.send_signal(signal.SIGKILL)
        driver.wait()
        _, alive = psutil.wait_procs(ours, timeout=60)
        assert not alive
        assert not (out / "manifest.json").exists()

        driver = psutil.Popen(command, stdout=log, stderr=log, env=environment)
        assert driver.wait(timeout=600) == 0, (tmp_path / "driver.log").read_text()[-4000:]
    require_equal(calm_generator, out)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
