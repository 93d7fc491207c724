"""Connecting to Ray: the cluster that submitted this job, or one on this machine.

Under `ray job submit` the address and the runtime environment come with the job, so nothing is
passed that could contradict them. On a laptop a local instance is started and ended with the
process; it has more logical CPUs than cores, since Ray Data stalls when actors hold every one.
"""

from __future__ import annotations

import logging
import os

import ray

from codeprm.errors import ConfigError

SPARE_LOGICAL_CPUS = 4


def connect() -> None:
    """Join the cluster named by RAY_ADDRESS or start Ray here; a second call does nothing."""
    if ray.is_initialized():
        return
    _quiet_logs()
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=True, logging_level=logging.WARNING)
        return
    ray.init(
        address="local",
        num_cpus=(os.cpu_count() or 2) + SPARE_LOGICAL_CPUS,
        include_dashboard=False,
        logging_level=logging.WARNING,
    )


def require_shared(uri: str) -> None:
    """On a cluster an output must be where all nodes look; a job's working directory is not."""
    if os.environ.get("RAY_ADDRESS") and "://" not in uri and not os.path.isabs(uri):
        raise ConfigError(
            f"{uri} is relative to the working directory of a cluster job, which is a throw-away "
            "copy: give an absolute path that all nodes share, or a URI"
        )


def disconnect() -> None:
    """Leave Ray; ends a local instance."""
    if ray.is_initialized():
        ray.shutdown()


def _quiet_logs() -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray Data logs a trace of what it then raises; the caller decides whether it is worth one
    logging.getLogger("ray.data.exceptions").setLevel(logging.CRITICAL)
