"""One checkpoint at a time on its way to the store, beside the steps; nothing is left behind."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from codeprm.errors import DataError
from codeprm.training.uploads import PAUSES_S, Uploads, sweep

WAIT_S = 30


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def fail_then(errors: list[Exception]) -> Callable[[], str]:
    """Fails once with each error, then succeeds."""

    def copy() -> str:
        if errors:
            raise errors.pop(0)
        return "there"

    return copy


def never(_: float) -> None:
    raise AssertionError("paused")


def test_steps_go_on_while_a_checkpoint_is_carried_and_the_next_waits(scratch: Path) -> None:
    uploads, gate = Uploads("store"), threading.Event()
    with ThreadPoolExecutor() as threads:
        with uploads.staged() as first:
            (first / "weights").write_text("1")

            def copy() -> str:
                assert gate.wait(WAIT_S)
                return (first / "weights").read_text()

            carried = threads.submit(uploads.carry, first, copy)
        # here the step loop goes on
        assert not carried.done()

        def stage() -> tuple[Path, list[Path]]:
            with uploads.staged() as second:
                seen = list(scratch.iterdir())
                uploads.carry(second, lambda: None)
                return second, seen

        staged: Future[tuple[Path, list[Path]]] = threads.submit(stage)
        assert not staged.done()
        assert list(scratch.iterdir()) == [first]
        gate.set()
        assert carried.result(WAIT_S) == "1"
        second, seen = staged.result(WAIT_S)
        assert seen == [second] != [first]
    uploads.wait()
    assert not list(scratch.iterdir())


def test_a_store_that_fails_for_a_while_is_tried_again(scratch: Path) -> None:
    pauses: list[float] = []
    uploads = Uploads("s3://bucket/run", pause=pauses.append)
    with uploads.staged() as folder:
        errors: list[Exception] = [OSError("connection reset"), OSError("slow down")]
        assert uploads.carry(folder, fail_then(errors)) == "there"
    assert tuple(pauses) == PAUSES_S[:2]
    uploads.wait()


def test_a_store_that_goes_on_failing_is_told_where_it_runs_and_where_it_is_waited_for(
    scratch: Path,
) -> None:
    uploads = Uploads("s3://bucket/run", pause=lambda _: None)
    with uploads.staged() as folder, pytest.raises(DataError) as caught:
        uploads.carry(folder, fail_then([OSError("no route")] * 9))
    assert str(caught.value) == (
        "a checkpoint could not be written to s3://bucket/run in 4 tries (no route): the "
        "checkpoints before are kept, so see to the store and run the same command again"
    )
    with pytest.raises(DataError, match="no route"):
        uploads.wait()
    with pytest.raises(DataError, match="no route"), uploads.staged():
        raise AssertionError("staged after a failure")
    assert not list(scratch.iterdir())


def test_what_has_failed_is_not_begun_again_by_who_calls(scratch: Path) -> None:
    pauses: list[float] = []
    uploads = Uploads("s3://bucket/run", pause=pauses.append)
    with uploads.staged() as folder, pytest.raises(DataError, match="no route"):
        uploads.carry(folder, fail_then([OSError("no route")] * 4))
    with pytest.raises(DataError, match="no route"):
        uploads.carry(folder, lambda: "the folder is gone")
    assert tuple(pauses) == PAUSES_S


def test_no_room_for_the_folder_is_told_of_the_disk_that_it_would_be_on(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with (
        pytest.raises(DataError, match=f"no room for a checkpoint: the disk of {scratch} is full"),
        Uploads("s3://bucket/run").staged(),
    ):
        raise AssertionError("staged without room")


def test_a_full_store_is_not_tried_again(scratch: Path) -> None:
    uploads = Uploads("/runs/orm/work", pause=never)
    with uploads.staged() as folder, pytest.raises(DataError) as caught:
        uploads.carry(folder, fail_then([OSError(errno.ENOSPC, "No space left on device")]))
    assert str(caught.value).startswith(
        "no room for a checkpoint: the disk of /runs/orm/work is full"
    )
    assert not list(scratch.iterdir())


def test_errors_that_are_none_of_the_stores_are_not_tried_again(scratch: Path) -> None:
    uploads = Uploads("store", pause=never)
    with uploads.staged() as folder, pytest.raises(KeyError):
        uploads.carry(folder, fail_then([KeyError("bug")]))
    with pytest.raises(KeyError):
        uploads.wait()


def test_what_fails_before_it_is_carried_leaves_nothing(scratch: Path) -> None:
    uploads = Uploads("store")

    def save() -> None:
        with uploads.staged() as folder:
            (folder / "half").write_text("")
            raise RuntimeError("while saving")

    with pytest.raises(RuntimeError, match="while saving"):
        save()
    assert not list(scratch.iterdir())
    uploads.wait()


def test_a_sweep_takes_what_killed_processes_of_this_run_left_and_no_more(scratch: Path) -> None:
    with Uploads("/runs/a/work").staged() as killed, Uploads("/runs/b/work").staged() as others:
        (killed / "deepspeed").mkdir()
        (killed / "deepspeed/shard").write_text("")
        sweep("/runs/a/work")
        assert list(scratch.iterdir()) == [others]
