"""Checkpoints through Ray Train as it is, most of an engine that has neither model nor steps."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from codeprm.distributed import train
from codeprm.distributed.oversight import LIST, LIST_COPY, other_runs, restore_list
from codeprm.distributed.train_worker import Run
from codeprm.errors import ConfigError, DataError
from codeprm.tables import Directory, start_directory
from codeprm.training.config import GeneratorConfig, Optimization, Scaling
from codeprm.training.prepare import WORK
from codeprm.training.uploads import prefix_of
from tests.interrupted import GENERATOR, folders_left, series, solutions_in

SCALING = Scaling(
    workers=2, gpus=0.0, cpus=1.0, threads=1, zero_stage=0, checkpoints_kept=2, max_failures=3
)
FULL = OSError(errno.ENOSPC, "No space left on device")
# 11 steps
OPTIMIZATION = Optimization(learning_rate=2e-3, epochs=1.0, effective_batch=4, warmup_steps=2)


class Engine:
    """What of DeepSpeed's engine saves and loads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def save_checkpoint(self, folder: str, tag: str, client_state: dict[str, Any]) -> None:
        import torch.distributed as dist

        (Path(folder) / tag).mkdir()
        share = Path(folder, tag, f"rank_{dist.get_rank()}.json")
        share.write_text(json.dumps(client_state))

    def load_checkpoint(self, folder: str, tag: str) -> tuple[str, dict[str, Any]]:
        import torch.distributed as dist

        self.read.append(folder)
        state = json.loads(Path(folder, tag, f"rank_{dist.get_rank()}.json").read_text())
        return folder, state


def run_of(tmp_path: Path) -> tuple[Run, Directory]:
    config = GeneratorConfig(model="scratch", max_length=512)
    run = Run(job="train_generator", out=str(tmp_path / "out"), config=config, scaling=SCALING)
    directory = start_directory(run.out, job=run.job, config=config, inputs={}, buckets=1)
    return run, directory


def fitted(
    steps: Callable[..., dict[str, Any]], run: Run, directory: Directory, monkeypatch: Any
) -> dict[str, Any]:
    """`steps(checkpoints, engine, history, storage)` as what a rank does."""

    def worker(settings: dict[str, Any]) -> dict[str, Any]:
        from ray.train.v2._internal.execution.storage import StorageContext

        from codeprm.distributed.checkpoints import Checkpoints

        checkpoints, engine = Checkpoints(settings["run"].store), make_engine()
        history = checkpoints.resume(engine)
        return steps(checkpoints, engine, history, StorageContext)

    make_engine = Engine
    monkeypatch.setattr(train, "train_worker", worker)
    return train._fit(run, directory)


def staged(run: Run) -> list[Path]:
    """Local folders of the run."""
    return folders_left(Path(run.out))


def stored(run: Run) -> list[Path]:
    return sorted(Path(run.store).glob("run-*/checkpoint_*/"))


def listed(run: Run) -> list[int]:
    """Steps of the checkpoints that the run knows of; the last is gone on from."""
    (file,) = Path(run.store).glob(f"run-*/{LIST}")
    return [each["metrics"]["step"] for each in json.loads(file.read_text())["checkpoint_results"]]


def save_after(checkpoints: Any, engine: Any, history: Any, n_steps: int) -> None:
    history.steps += [{"loss": 1.0}] * n_steps
    checkpoints.save(engine, history)


def test_steps_are_told_while_an_upload_is_blocked(
    tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, directory = run_of(tmp_path)
    save = save_after

    def steps(checkpoints: Any, engine: Any, history: Any, storage: Any) -> dict[str, Any]:
        import threading

        import torch.distributed as dist

        gate, copy = threading.Event(), storage.persist_current_checkpoint

        def blocked(self: Any, *given: Any) -> Any:
            assert gate.wait(60)
            return copy(self, *given)

        storage.persist_current_checkpoint = blocked
        save(checkpoints, engine, history, 1)
        # the upload cannot end before the gate opens, and the loop is here
        history.steps += [{"loss": 1.0}] * 2
        seen = {"told": len(history.steps), "stored": len(list(Path(tmp_path).glob("**/rank_*")))}
        # the other rank opens its gate when both have looked
        dist.barrier()
        gate.set()
        for _ in range(3):
            save(checkpoints, engine, history, 1)
        checkpoints.finish()
        return seen

    assert fitted(steps, run, directory, monkeypatch) == {"told": 3, "stored": 0}
    # the newest two, in order, of both ranks
    assert listed(run) == [5, 6]
    assert [len(list(each.glob("deepspeed/rank_*"))) for each in stored(run)] == [2, 2]
    assert not staged(run)


def test_a_run_goes_on_from_the_last_whole_checkpoint_and_sweeps_the_rest(
    tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, directory = run_of(tmp_path)
    # not known to be local, so a checkpoint is downloaded to be read
    directory.__dict__["_location"] = (pafs.SubTreeFileSystem("/", pafs.LocalFileSystem()), run.out)
    save = save_after

    def steps(checkpoints: Any, engine: Any, history: Any, storage: Any) -> dict[str, Any]:
        begun = len(history.steps)
        save(checkpoints, engine, history, 3)
        checkpoints.finish()
        return {"begun": begun, "done": len(history.steps), "read": engine.read}

    assert fitted(steps, run, directory, monkeypatch) == {"begun": 0, "done": 3, "read": []}
    (whole,) = stored(run)
    half = whole.with_name("checkpoint_half")
    half.mkdir()
    tempfile.mkdtemp(prefix=prefix_of(run.store))
    assert len(staged(run)) == 1
    others = temporary_checkpoints()
    # the list was being written when the run was killed
    (file,) = Path(run.store).glob(f"run-*/{LIST}")
    file.write_bytes(file.read_bytes()[:-7])
    copy = Path(tempfile.gettempdir(), prefix_of(run.store) + whole.name)
    found = fitted(steps, run, directory, monkeypatch)
    assert found == {"begun": 3, "done": 6, "read": [str(copy)]}
    assert whole in stored(run)
    assert half not in stored(run)
    assert listed(run) == [3, 6]
    assert not staged(run)
    assert temporary_checkpoints() <= others


def temporary_checkpoints() -> set[Path]:
    """Folders of this and other runs, and what Ray Train would download."""
    return set(Path(tempfile.gettempdir()).glob("*checkpoint*"))


def test_a_disk_that_is_full_during_an_upload_ends_the_run_and_keeps_the_checkpoint_before(
    tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, directory = run_of(tmp_path)
    save, full = save_after, FULL

    def steps(checkpoints: Any, engine: Any, history: Any, storage: Any) -> dict[str, Any]:
        import ray.train

        with (tmp_path / "tries").open("a") as tries:
            tries.write("a try of a rank\n")
        save(checkpoints, engine, history, 1)
        checkpoints.finish()
        if ray.train.get_context().get_world_rank() == 0:

            def fails(*_: Any) -> Any:
                raise full

            storage.persist_current_checkpoint = fails
        save(checkpoints, engine, history, 1)
        checkpoints.finish()
        return {}

    with pytest.raises(DataError, match=f"no room for a checkpoint: the disk of {run.store}"):
        fitted(steps, run, directory, monkeypatch)
    assert listed(run) == [1]
    # it is not tried again
    assert len((tmp_path / "tries").read_text().splitlines()) == SCALING.workers
    assert not staged(run)


def test_a_run_that_diverges_keeps_a_checkpoint_that_was_still_on_its_way(
    tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, directory = run_of(tmp_path)
    save = save_after

    def steps(checkpoints: Any, engine: Any, history: Any, storage: Any) -> dict[str, Any]:
        import threading

        diverged, copy = threading.Event(), storage.persist_current_checkpoint

        def late(self: Any, *given: Any) -> Any:
            assert diverged.wait(60)
            return copy(self, *given)

        storage.persist_current_checkpoint = late
        save(checkpoints, engine, history, 4)
        diverged.set()
        checkpoints.finish()
        return {"diverged": "the loss of step 5 is nan"}

    with pytest.raises(ConfigError, match="step 5"):
        fitted(steps, run, directory, monkeypatch)
    assert listed(run) == [4]
    assert len(stored(run)) == 1


def test_a_list_that_is_not_whole_becomes_what_it_was_before(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    directory.write_bytes(b"", WORK, "run-a", LIST)
    restore_list(directory, "run-a")
    assert directory.list_names(WORK, "run-a") == []
    restore_list(directory, "run-a")
    directory.write_bytes(b'{"a": ', WORK, "run-a", LIST)
    directory.write_bytes(b'{"a": 1}', WORK, "run-a", LIST_COPY)
    restore_list(directory, "run-a")
    assert directory.read_json(WORK, "run-a", LIST) == {"a": 1}
    directory.write_bytes(b'{"a": 2}', WORK, "run-a", LIST)
    restore_list(directory, "run-a")
    assert directory.read_json(WORK, "run-a", LIST) == {"a": 2}
    # the driver was killed before it made a copy of this one
    assert directory.read_json(WORK, "run-a", LIST_COPY) == {"a": 2}


def test_checkpoints_that_do_not_fit_are_named_until_the_run_has_its_own(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    directory.write_bytes(b"{}", WORK, "run-a-2x1-fp32", LIST)
    directory.write_bytes(b"", WORK, "run-a-4x1-fp32", ".marker")
    assert other_runs(directory, "run-a-4x1-fp32") == ["run-a-2x1-fp32"]
    directory.write_bytes(b"{}", WORK, "run-a-4x1-fp32", LIST)
    assert other_runs(directory, "run-a-4x1-fp32") == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WorkerGroupError("", {1: FULL}), "no room for training: the disk of a worker's machine"),
        (ControllerError(FULL), "no room for the list of checkpoints: the disk of /out/work is"),
        (WorkerGroupError("", {0: KeyError(), 1: DataError("two labels")}), "two labels"),
        (WorkerGroupError("", {0: KeyError()}), "None"),
    ],
)
def test_a_failure_that_the_user_can_mend_is_told_with_its_place(
    error: TrainingFailedError, told: str
) -> None:
    config = GeneratorConfig(model="scratch", max_length=512)
    run = Run(job="train_generator", out="/out", config=config, scaling=SCALING)
    assert str(train._told(error, run)).startswith(told)


def test_packing_may_change_between_a_run_and_its_resumption_and_workers_begin_anew(
    tmp_path: Path,
    ray_local: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, out = solutions_in(tmp_path / "data"), tmp_path / "out"
    config = replace(GENERATOR.config, optimization=OPTIMIZATION)
    # passes of few programs, so that steps have several, and not all ranks as many
    packed = replace(
        GENERATOR.scaling, packing="packed", tokens_per_pass=130, zero_stage=3, threads=2,
        checkpoint_every=8, max_failures=0,
    )  # fmt: skip

    def fit(scaling: Scaling) -> None:
        train.train_generator(data=data, out=str(out), config=config, scaling=scaling)

    def prepare(*given: Any) -> None:
        prepare_job(*given)
        # what stands in the way of the finished model ends each run after its last step
        (out / "model.safetensors").mkdir()

    prepare_job = train._prepare
    monkeypatch.setattr(train, "_prepare", prepare)
    with pytest.raises(TrainingFailedError):
        fit(packed)
    padded = replace(packed, packing="padded", threads=1)
    with pytest.raises(TrainingFailedError):
        fit(padded)
    assert "begins anew" not in caplog.text
    (out / "model.safetensors").rmdir()
    fit(replace(padded, workers=1, zero_stage=0))
    assert "begins anew" in caplog.text

    whole, resumed, anew = series(out)
    assert [*whole] == [*anew] == [*range(1, 12)]
    assert [*resumed] == [9, 10, 11]
    assert [*resumed.values()] == pytest.approx([whole[step] for step in resumed], rel=1e-5)
    assert [*anew.values()] == pytest.approx([*whole.values()], rel=1e-5)
