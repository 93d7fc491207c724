"""Trackers write the same series, go on with it, and never end a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from codeprm.errors import MissingError
from codeprm.tables import open_directory
from codeprm.training.config import Following
from codeprm.training.trackers import (
    TRACKERS,
    Kind,
    NoTracker,
    Series,
    require_tracker,
    start_tracker,
)
from tests.event_files import events_of, scalars_of
from tests.rows import write_directory


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """tensorboardX looks for torch, whose import takes longer than all of these tests."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def out(tmp_path: Path) -> str:
    return write_directory(tmp_path / "orm", [], ())


def series(out: str, start: int = 0) -> Series:
    return Series(
        directory=open_directory(out), name="train_orm orm", start=start, project="p",
        config={"max_length": 8},
    )  # fmt: skip


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    return [scalar for file in sorted(folder.iterdir()) for scalar in scalars_of(file)]


def test_tensorboard_has_every_number_of_every_step(out: str) -> None:
    tracker = start_tracker(Following(), series(out))
    tracker.write(1, {"loss": 2.0, "loss/ce": 1.5})
    tracker.write(2, {"loss": 1.0})
    tracker.save()
    expected = [(1, "loss", 2.0), (1, "loss/ce", 1.5), (2, "loss", 1.0)]
    assert scalars(Path(out) / "tensorboard") == expected
    tracker.close()
    assert scalars(Path(out) / "tensorboard") == expected


def test_a_resumed_series_voids_what_came_after_its_checkpoint(out: str) -> None:
    tracker = start_tracker(Following(), series(out, start=7))
    tracker.write(8, {"loss": 1.0})
    tracker.close()
    (file,) = (Path(out) / "tensorboard").iterdir()
    starts = [e.step for e in events_of(file) if e.HasField("session_log")]
    assert starts == [8]


def test_behind_a_uri_the_events_are_copied_when_saved(out: str) -> None:
    import pyarrow.fs as pafs

    directory = open_directory(out)
    # a file system that is not known to be local
    directory.__dict__["_location"] = (pafs.SubTreeFileSystem("/", pafs.LocalFileSystem()), out)
    remote = Series(directory=directory, name="a", start=0, project="p", config={})
    tracker = start_tracker(Following(), remote)
    tracker.write(1, {"loss": 2.0})
    assert not (Path(out) / "tensorboard").exists()
    tracker.save()
    assert scalars(Path(out) / "tensorboard") == [(1, "loss", 2.0)]
    tracker.write(2, {"loss": 1.0})
    tracker.close()
    assert scalars(Path(out) / "tensorboard") == [(1, "loss", 2.0), (2, "loss", 1.0)]


class Failing(NoTracker):
    def __init__(self) -> None:
        self.calls = 0

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self.calls += 1
        raise OSError("no\nroute")


def test_a_tracker_that_fails_is_one_warning(
    out: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing()
    monkeypatch.setitem(TRACKERS, "wandb", Kind(lambda _: failing))
    tracker = start_tracker(Following(tracker="wandb"), series(out))
    for step in range(3):
        tracker.write(step, {"loss": 1.0})
    tracker.save()
    tracker.close()
    assert failing.calls == 1
    assert [record.getMessage() for record in caplog.records] == [
        "wandb failed and is left out from here on, training continues: no route"
    ]


def test_a_tracker_that_does_not_start_is_one_warning(
    out: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(_: Series) -> NoTracker:
        raise RuntimeError

    monkeypatch.setitem(TRACKERS, "mlflow", Kind(refuses))
    tracker = start_tracker(Following(tracker="mlflow"), series(out))
    tracker.write(1, {"loss": 1.0})
    tracker.close()
    (record,) = caplog.records
    assert record.getMessage().endswith("RuntimeError")


def test_a_package_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="the wandb tracker needs: pip install wandb"):
        require_tracker(Following(tracker="wandb"))
    require_tracker(Following(tracker="none"))


def test_wandb_goes_on_with_the_run_of_the_directory(
    out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    run = SimpleNamespace(
        log=lambda numbers, step: calls.append((step, numbers)),
        define_metric=lambda name, step_metric: calls.append((name, step_metric)),
        finish=lambda: calls.append("end"),
    )
    wandb: Any = ModuleType("wandb")

    def init(**given: Any) -> Any:
        calls.append(given)
        return run

    wandb.init = init
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracker = start_tracker(Following(tracker="wandb"), series(out))
    tracker.write(3, {"loss": 1.0})
    # known late: wandb would drop a lower step
    tracker.write(2, {"held_out/pass@1": 0.5})
    tracker.close()
    begun, *rest = calls
    assert begun["id"] == open_directory(out).identity
    assert begun["resume"] == "allow"
    assert begun["config"] == {"max_length": 8}
    assert rest == [
        ("held_out/*", "held_out/step"),
        (3, {"loss": 1.0}),
        (3, {"held_out/pass@1": 0.5, "held_out/step": 2}),
        "end",
    ]


class FakeMlflow:
    """A server of one experiment."""

    runs: list[Any] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.metrics: list[tuple[str, str, float, int]] = []

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return "7"

    def search_runs(self, experiments: list[str], query: str) -> list[Any]:
        return [run for run in self.runs if run.identity in query]

    def create_run(self, experiment: str, *, tags: dict[str, str], run_name: str) -> Any:
        run = SimpleNamespace(
            identity=tags["codeprm_identity"], info=SimpleNamespace(run_id=f"r{len(self.runs)}")
        )
        self.runs.append(run)
        return run

    def log_dict(self, *_: object) -> None: ...

    def update_run(self, run_id: str, status: str) -> None: ...

    def log_batch(self, run_id: str, *, metrics: list[tuple[str, float, int, int]]) -> None:
        self.metrics += [(run_id, name, value, step) for name, value, _, step in metrics]

    def set_terminated(self, run_id: str) -> None:
        assert self.metrics == [("r0", "loss", 1.0, 4), ("r0", "held_out/pass_at_1", 0.5, 2)]


def test_mlflow_finds_the_run_of_the_directory_again(
    out: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracking: Any = ModuleType("mlflow.tracking")
    tracking.MlflowClient = FakeMlflow
    entities: Any = ModuleType("mlflow.entities")
    entities.Metric = lambda *values: values
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setattr(FakeMlflow, "runs", [])
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    for _ in range(2):
        tracker = start_tracker(Following(tracker="mlflow"), series(out, start=3))
        tracker.write(4, {"loss": 1.0})
        tracker.write(2, {"held_out/pass@1": 0.5})
        tracker.close()
    assert len(FakeMlflow.runs) == 1
    assert caplog.records == []
