"""Control groups of slots, on a folder that looks like cgroup v2: CI hands none out."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeprm.sandbox.cgroups import OWN_BYTES, make_group


def delegated(mount: Path, own: str, controllers: str) -> Path:
    """A group whose children have these controllers."""
    path = mount / own.strip("/")
    path.mkdir(parents=True, exist_ok=True)
    (path / "cgroup.subtree_control").write_text(controllers)
    return path


def test_a_group_is_made_below_the_workers_own(tmp_path: Path) -> None:
    own = delegated(tmp_path, "/worker", "cpu memory pids\n")
    group = make_group("slot", mount=tmp_path, own="/worker")
    assert group is not None
    group.add(17)
    group.limit_memory(1 << 20)
    files = {path.name: path.read_text() for path in (own / "slot").iterdir()}
    assert files == {
        "cgroup.procs": "17",
        "memory.max": str(OWN_BYTES + (1 << 20)),
        "memory.swap.max": "0",
        "pids.max": "1024",
    }


def test_or_beside_it_where_the_worker_cannot_have_children(tmp_path: Path) -> None:
    delegated(tmp_path, "/pod", "memory")
    delegated(tmp_path, "/pod/worker", "")
    assert make_group("slot", mount=tmp_path, own="/pod/worker") is not None
    assert (tmp_path / "pod/slot").is_dir()


@pytest.mark.parametrize("own", ["/worker", "/nowhere", ""])
def test_none_where_memory_is_not_handed_out(tmp_path: Path, own: str) -> None:
    delegated(tmp_path, "/worker", "cpu pids")
    delegated(tmp_path, "/", "")
    assert make_group("slot", mount=tmp_path, own=own) is None


def test_the_kernels_count_of_processes_that_ran_out_of_memory(tmp_path: Path) -> None:
    own = delegated(tmp_path, "/worker", "memory")
    group = make_group("slot", mount=tmp_path, own="/worker")
    assert group is not None
    assert group.ended_for_memory() == 0
    (own / "slot/memory.events").write_text("low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\n")
    assert group.ended_for_memory() == 2


def test_closing_ends_what_is_left(tmp_path: Path) -> None:
    own = delegated(tmp_path, "/worker", "memory")
    group = make_group("slot", mount=tmp_path, own="/worker")
    assert group is not None
    group.close()
    assert (own / "slot/cgroup.kill").read_text() == "1"
