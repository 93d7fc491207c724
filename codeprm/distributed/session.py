"""Connecting to Ray: the cluster that submitted this job, or one on this machine.

Under `ray job submit` the address and the runtime environment come with the job, so nothing is
passed that could contradict them. On a laptop a local instance is started and ended with the
process; it has more logical CPUs than cores, since Ray Data stalls when actors hold every one.
"""

from __future__ import annotations

import logging
import os

import ray

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


def disconnect() -> None:
    """Leave Ray; ends a local instance."""
    if ray.is_initialized():
        ray.shutdown()


def _quiet_logs() -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray Data logs a trace of what it then raises; the caller decides whether it is worth one
    logging.getLogger("ray.data.exceptions").setLevel(logging.CRITICAL)
