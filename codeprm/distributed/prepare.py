"""Preparing a dataset is two stages; this runs both and takes the scaffolding away."""

from __future__ import annotations

from typing import Any

from codeprm.distributed.run import run_stage
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig, prepare_stages
from codeprm.steps.run import start_stage


def prepare(config: PrepareConfig, *, out: str, workers: Workers) -> dict[str, Any]:
    """Write a dataset directory; returns its manifest."""
    clean_stage, unite_stage = prepare_stages(config, out, workers)
    directory = start_stage(unite_stage)
    if directory.manifest is None:
        run_stage(clean_stage)
    manifest = run_stage(unite_stage)
    directory.delete("work")
    return manifest
