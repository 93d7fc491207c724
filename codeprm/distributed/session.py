"""Connecting to Ray: the cluster that submitted this job, or one on this machine.

Under `ray job submit` the address and the runtime environment come with the job, so nothing is
passed that could contradict them. On a laptop a local instance is started and ended with the
process; it has more logical CPUs than cores, since Ray Data stalls when actors hold every one.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import ray

from codeprm.errors import ConfigError
from codeprm.places import absolute

SPARE_LOGICAL_CPUS = 4
# Folder of a node in which Ray unpacks what came with `--working-dir`.
THROW_AWAY = "working_dir_files"


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
    here = Path.cwd()
    if THROW_AWAY in here.parts and "://" not in uri and Path(absolute(uri)).is_relative_to(here):
        raise ConfigError(
            f"{uri} is in the working directory of a cluster job, which is a throw-away copy: "
            "give an absolute path that all nodes share, or a URI"
        )


def disconnect() -> None:
    """Leave Ray; ends a local instance."""
    if ray.is_initialized():
        ray.shutdown()


def _quiet_logs() -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray Data logs a trace of what it then raises; the caller decides whether it is worth one
    logging.getLogger("ray.data.exceptions").setLevel(logging.CRITICAL)
