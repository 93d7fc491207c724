"""Programs run by an actor meet nothing of the Ray that it belongs to, at any level."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from codeprm.sandbox.levels import Level
from tests.sandbox import outer
from tests.sandbox.catalogue.beside import (
    TCP_REFUSED,
    UNIX_REFUSED,
    Met,
    Services,
    attack,
    reached,
)
from tests.sandbox.catalogue.row import LEVELS

ROOT = Path(__file__).parents[2]
# What a worker of Ray has in its environment, and a job may have.
VARIABLES = {"RAY_NOTE": "1", "HF_TOKEN": "token", "AWS_SECRET_ACCESS_KEY": "key"}


@pytest.fixture(scope="module")
def services(ray_local: None) -> Services:
    """Sockets of the live Ray; they answer, or their refusal would show nothing."""
    node = ray.nodes()[0]
    host = node["NodeManagerAddress"]
    ports = [node["NodeManagerPort"], node["ObjectManagerPort"], node["MetricsExportPort"]]
    gcs = ray.get_runtime_context().gcs_address.replace(":", " ")
    named = Services(
        tcp=[gcs, *(f"{host} {port}" for port in ports)],
        unix=[node["RayletSocketName"], node["ObjectStoreSocketName"]],
    )
    there = reached(named)
    assert gcs in there["tcp"]
    assert there["unix"] == named["unix"]
    return there


def assert_nothing_met(met: Met, services: Services) -> None:
    assert met["tcp"] == dict.fromkeys(services["tcp"], TCP_REFUSED)
    assert met["unix"] == dict.fromkeys(services["unix"], UNIX_REFUSED)
    assert met["environment"] == "[]"
    assert met["descriptors"] == "[]"


def test_in_an_actor(services: Services) -> None:
    @ray.remote(num_cpus=1, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), **VARIABLES}})
    class Attacker:
        def attack(self, services: Services) -> Met:
            return attack(services)

        def variables(self) -> list[str]:
            return list(os.environ)

    attacker = Attacker.remote()
    # Else a scrubbed environment would show nothing.
    assert set(VARIABLES) <= set(ray.get(attacker.variables.remote()))
    assert_nothing_met(ray.get(attacker.attack.remote(services)), services)
    ray.kill(attacker)


@pytest.mark.parametrize("level", LEVELS)
def test_at_each_level(services: Services, level: Level) -> None:
    # In the open: a world of its own would hide Ray's sockets from the sandbox's parent too.
    command = [sys.executable, "-m", "tests.sandbox.outer", "--level", level, "--open", "--"]
    command += [sys.executable, "-m", "tests.sandbox.catalogue.beside", json.dumps(services)]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **VARIABLES}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    if ended.returncode == outer.CANNOT:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stderr
    met = json.loads(ended.stdout)
    assert met["level"].split("+")[0] == level
    assert_nothing_met(met, services)
