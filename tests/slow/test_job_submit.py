"""`ray job submit` with this repository's runtime environment, on a cluster of one node."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from codeprm.records import Problem, Verdict
from codeprm.tables import open_directory

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")
pytestmark = pytest.mark.timeout(900)
# What a user has in ~/.ray/auth_token: a cluster asks for it by default.
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address that jobs are submitted to; the cluster ends with its own first process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Ray puts sockets below it, and their paths may not be long
    folder = Path("/tmp") / f"codeprm-submit-{os.getpid()}"
    command = [
        str(RAY), "start", "--head", "--block", f"--port={free_port()}", "--num-cpus=6",
        f"--dashboard-port={port}", "--dashboard-host=127.0.0.1", f"--temp-dir={folder}",
        "--dashboard-agent-listen-port", str(free_port()), "--disable-usage-stats",
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("cluster") / "head.log"
    with log.open("wb") as file:
        head = psutil.Popen(
            command, stdout=file, stderr=file, env=ENVIRONMENT, start_new_session=True
        )
    try:
        _wait_for_jobs_api(url, log)
        yield url
    finally:
        family = head.children(recursive=True)
        head.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([head, *family], timeout=30)
        for process in alive:
            process.kill()
        head.wait()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def _wait_for_jobs_api(url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            # Ray asks for a token, which its own command line has; an answer is enough here
            if httpx.get(f"{url}/api/jobs/").status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"no cluster after 120 s: {log.read_text()[-2000:]}")


def submit(dashboard: str, *job: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(RAY), "job", "submit", "--address", dashboard, "--working-dir", ".",
        "--runtime-env", "runtime_env.yaml", "--", sys.executable, *job,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_jobs_run_one_after_the_other_and_again(dashboard: str, tmp_path: Path) -> None:
    prepared, verified = str(tmp_path / "prepared"), str(tmp_path / "verified")
    prepare = ("jobs/prepare.py", "--source", "n=6", "--buckets", "2", "--out", prepared)
    done = submit(dashboard, *prepare)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(open_directory(prepared).read_records(Problem))) == 6

    verify = ("jobs/verify.py", "--data", prepared, "--max-solutions", "2", "--out", verified)
    done = submit(dashboard, *verify)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = list(open_directory(verified).read_records(Verdict))
    assert verdicts
    assert all(verdict.sandbox_level for verdict in verdicts)

    again = submit(dashboard, *verify)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout + again.stderr


def test_an_output_in_the_throw_away_copy_is_refused(dashboard: str) -> None:
    refused = submit(dashboard, "jobs/prepare.py", "--source", "n=2", "--out", "runs/lost")
    assert refused.returncode != 0
    assert "give an absolute path that all nodes share" in refused.stdout + refused.stderr
