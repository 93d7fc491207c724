"""Loss of a node that holds one of two workers: its place is taken, and the model is the same.

The cluster has two nodes, the driver's and another: raylets on this machine, each with room for one
worker. The other is killed whole, raylet and all that it started, and a new node joins, as an
autoscaler would have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from codeprm.distributed.train import train_generator
from tests.interrupted import (
    ENVIRONMENT,
    GENERATOR,
    harm_between_steps,
    require_equal,
    train_workers,
)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """The driver's node and another."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        # the other way round a file stays that makes every later Ray look for this one
        ray.shutdown()
        cluster.shutdown()


def raylet_of(node: object) -> psutil.Process:
    (started,) = node.all_processes["raylet"]  # type: ignore[attr-defined]
    return psutil.Process(started.process.pid)


def test_a_lost_node_leaves_no_trace_in_the_model(
    data: str, calm_generator: Path, tmp_path: Path, cluster: Cluster
) -> None:
    out = tmp_path / "harmed/model"
    (other,) = cluster.worker_nodes

    def replace_the_node() -> None:
        raylet = raylet_of(other)
        assert len(list(train_workers(raylet))) == 1
        for process in (*raylet.children(recursive=True), raylet):
            process.kill()
        cluster.add_node(num_cpus=1)

    def train() -> None:
        train_generator(data=data, out=str(out), config=GENERATOR.config, scaling=GENERATOR.scaling)

    harm_between_steps(out, train, replace_the_node)
    assert sum(node["Alive"] for node in ray.nodes()) == 2
    require_equal(calm_generator, out)
