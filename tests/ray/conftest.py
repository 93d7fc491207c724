"""One local Ray for the whole folder; a test that needs its own cluster starts and ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """Six logical CPUs: Ray Data stalls when its actors hold every CPU there is."""
    ray.init(
        address="local",
        num_cpus=6,
        include_dashboard=False,
        object_store_memory=256 << 20,
    )
    yield
    ray.shutdown()
