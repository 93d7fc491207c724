"""Where the numbers of a run go: TensorBoard's event files, Weights & Biases, MLflow, nowhere.

One tracker a run, on rank 0. A run that resumes goes on with the series it began: event files say
from which step what came before is void, the services know the run by the directory's identity.
A tracker that fails is left with one warning; training never ends with it.

To add one: a class with `write`, `save` and `close`, and a line in `TRACKERS`.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from codeprm.errors import MissingError
from codeprm.tables import Directory
from codeprm.training.config import Following

FOLDER = "tensorboard"
FLUSH_EVERY_S = 10.0
IDENTITY_TAG = "codeprm_identity"
HELD_OUT = "held_out/"
LOOK_STEP = "held_out/step"

logger = logging.getLogger("codeprm.train")


class Tracker(Protocol):
    """Takes numbers."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers after `step` steps."""

    def save(self) -> None:
        """Everything so far is where it lasts."""

    def close(self) -> None:
        """The run is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which run is written: its output, and from where it goes on."""

    directory: Directory
    name: str
    """What people see: the job and its output's last part."""
    start: int
    """Steps done before; what was told of later ones is void."""
    project: str
    config: Mapping[str, Any]


class NoTracker:
    """Forgets everything."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        del step, numbers

    def save(self) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in the output's `tensorboard/`; behind a URI, copied there when saved."""

    def __init__(self, series: Series) -> None:
        import pyarrow.fs as pafs

        # not SummaryWriter: its events pass through a thread, and a flush does not wait for them
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._directory = series.directory
        self._is_remote = not isinstance(series.directory.fs, pafs.LocalFileSystem)
        self._folder = (
            tempfile.mkdtemp(prefix="codeprm-tensorboard-")
            if self._is_remote
            else series.directory.path(FOLDER)
        )
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(Path(self._folder) / "events"))
        # the first step that is written is start + 1
        self._add(series.start + 1, session_log=SessionLog(status=SessionLog.START))
        self._flushed = time.monotonic()

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._add(step, summary=Summary(value=values))
        if time.monotonic() - self._flushed >= FLUSH_EVERY_S:
            self._writer.flush()
            self._flushed = time.monotonic()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))

    def save(self) -> None:
        self._writer.flush()
        if self._is_remote:
            Directory(self._folder).copy_to(self._directory, FOLDER)

    def close(self) -> None:
        self.save()
        self._writer.close()
        if self._is_remote:
            shutil.rmtree(self._folder, ignore_errors=True)


class WeightsAndBiases:
    """A run of wandb, its id the directory's identity."""

    def __init__(self, series: Series) -> None:
        import wandb

        self._run = wandb.init(
            project=series.project,
            id=series.directory.identity,
            name=series.name,
            resume="allow",
            config=dict(series.config),
        )
        self._run.define_metric(f"{HELD_OUT}*", step_metric=LOOK_STEP)
        self._last = 0

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        # wandb drops steps that it has already: a resumed run tells them again, and alike; what is
        # held out has a count of steps of its own, since what is sampled is told late
        is_look = any(name.startswith(HELD_OUT) for name in numbers)
        told = {**numbers, LOOK_STEP: step} if is_look else dict(numbers)
        self._last = max(self._last, step)
        self._run.log(told, step=self._last)

    def save(self) -> None: ...

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow, found again by a tag with the directory's identity."""

    def __init__(self, series: Series) -> None:
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(series.project)
        experiment = (
            found.experiment_id if found else self._client.create_experiment(series.project)
        )
        identity = series.directory.identity
        runs = self._client.search_runs([experiment], f"tags.{IDENTITY_TAG} = '{identity}'")
        if runs:
            self._run_id = runs[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            tags = {IDENTITY_TAG: identity}
            run = self._client.create_run(experiment, tags=tags, run_name=series.name)
            self._run_id = run.info.run_id
            self._client.log_dict(self._run_id, dict(series.config), "config.json")

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        # one request a step
        now_ms = int(1000 * time.time())
        # pass@1: a name may have no @ there
        named = {name.replace("@", "_at_"): value for name, value in numbers.items()}
        metrics = [Metric(name, value, now_ms, step) for name, value in named.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def save(self) -> None: ...

    def close(self) -> None:
        self._client.set_terminated(self._run_id)


class Kind(NamedTuple):
    """How a tracker is made, the package it needs, and what installs it."""

    start: Callable[[Series], Tracker]
    package: str | None = None
    install: str = ""


def _nowhere(series: Series) -> Tracker:
    del series
    return NoTracker()


TRACKERS: dict[str, Kind] = {
    "tensorboard": Kind(TensorBoard, "tensorboardX", "tensorboardX"),
    "wandb": Kind(WeightsAndBiases, "wandb", "wandb"),
    "mlflow": Kind(MLflow, "mlflow", "mlflow-skinny"),
    "none": Kind(_nowhere),
}


def require_tracker(following: Following) -> None:
    """Before anything starts: the tracker's package is there."""
    kind = TRACKERS[following.tracker]
    if kind.package is not None and importlib.util.find_spec(kind.package) is None:
        raise MissingError(
            f"the {following.tracker} tracker needs: pip install {kind.install} (or give "
            "--tracker none)"
        )


class Guarded:
    """A tracker whose failures are one warning; after it nothing is written any more."""

    def __init__(self, name: str, start: Callable[[], Tracker]) -> None:
        self._name = name
        self._tracker: Tracker = NoTracker()
        self._try(lambda: setattr(self, "_tracker", start()))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._try(lambda: self._tracker.write(step, numbers))

    def save(self) -> None:
        self._try(self._tracker.save)

    def close(self) -> None:
        self._try(self._tracker.close)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - code of others, over networks
            self._tracker = NoTracker()
            logger.warning(
                "%s failed and is left out from here on, training continues: %s",
                self._name,
                " ".join(str(error).split())[:300] or type(error).__name__,
            )


def start_tracker(following: Following, series: Series) -> Tracker:
    """The run's tracker; it never raises."""
    kind = TRACKERS[following.tracker]
    return Guarded(following.tracker, lambda: kind.start(series))
