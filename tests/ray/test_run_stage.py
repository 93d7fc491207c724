"""The carrier of all stages on real Ray: kills, poison rows, producers that still run, few CPUs."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest

from codeprm.distributed.run import run_stage
from codeprm.errors import ConfigError, DataError
from codeprm.records import Rejected, Solution
from codeprm.steps.base import Unit, Workers
from codeprm.steps.follow import part_units
from codeprm.steps.run import run_here
from codeprm.tables import open_directory
from tests.toy import ToyConfig, toy_stage

pytestmark = pytest.mark.usefixtures("ray_local")


def solution_ids(out: Path) -> list[str]:
    return [s.solution_id for s in open_directory(str(out)).read_records(Solution)]


def expected_ids(config: ToyConfig) -> list[str]:
    return [f"part-{u:05d}/{i}" for u in range(config.units) for i in range(config.items)]


def test_stage_over_ray_equals_stage_in_process(tmp_path: Path) -> None:
    config = ToyConfig()
    over_ray = run_stage(toy_stage(tmp_path / "ray", config))
    here = run_here(toy_stage(tmp_path / "here", config))
    assert over_ray["rows"] == here["rows"]
    assert solution_ids(tmp_path / "ray") == solution_ids(tmp_path / "here") == expected_ids(config)


def test_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    config = ToyConfig(poison=("part-00001/3", "part-00002/0"), once=True)
    manifest = run_stage(toy_stage(tmp_path / "out", config))
    assert solution_ids(tmp_path / "out") == expected_ids(config)
    assert manifest["counts"] == {}


def test_row_that_kills_its_worker_three_times_is_rejected(tmp_path: Path) -> None:
    config = ToyConfig(units=2, items=9, poison=("part-00001/4",))
    stage = toy_stage(tmp_path / "out", config)
    manifest = run_stage(stage)
    directory = open_directory(str(tmp_path / "out"))
    rejected = list(directory.read_records(Rejected))
    assert [(r.row_id, r.reason) for r in rejected] == [("part-00001/4", "killed_worker")]
    assert manifest["counts"] == {"rejected:killed_worker": 1}
    assert sorted(solution_ids(tmp_path / "out")) == sorted(
        item for item in expected_ids(config) if item != "part-00001/4"
    )
    journal = (tmp_path / "out.journal").read_text().split()
    assert journal.count("part-00001/4") == 3


def test_spooled_items_are_not_done_again(tmp_path: Path) -> None:
    config = ToyConfig(units=1, items=80, poison=("part-00000/70",), once=True)
    run_stage(toy_stage(tmp_path / "out", config, spool_key="solution_id"))
    assert sorted(solution_ids(tmp_path / "out")) == sorted(expected_ids(config))
    journal = (tmp_path / "out.journal").read_text().split()
    assert journal.count("part-00000/0") == 1
    assert journal.count("part-00000/66") == 2


def test_two_actors_on_two_logical_cpus_make_progress(tmp_path: Path) -> None:
    workers = Workers(max_workers=6, min_workers=6)
    config = ToyConfig(units=12, items=1, item_s=0.01)
    run_stage(toy_stage(tmp_path / "out", config, workers=workers))
    assert solution_ids(tmp_path / "out") == expected_ids(config)


def test_following_stage_works_on_parts_while_the_producer_runs(tmp_path: Path) -> None:
    producer = toy_stage(tmp_path / "first", ToyConfig(units=5, items=1, item_s=0.8))
    thread = threading.Thread(target=run_here, args=(producer,))
    thread.start()
    while not (tmp_path / "first" / "started.json").exists():
        time.sleep(0.05)
    consumer = toy_stage(tmp_path / "second", ToyConfig(units=5, items=1))
    consumer = replace_units(consumer, partial(part_units, str(tmp_path / "first"), follow=True))
    run_stage(consumer, follow=True)
    thread.join()
    assert solution_ids(tmp_path / "second") == expected_ids(ToyConfig(units=5, items=1))
    first_written = min(p.stat().st_mtime for p in (tmp_path / "second/commits").iterdir())
    assert first_written < (tmp_path / "first/manifest.json").stat().st_mtime


def test_complete_directory_is_skipped_and_another_configuration_refused(tmp_path: Path) -> None:
    stage = toy_stage(tmp_path / "out")
    assert run_stage(stage) == run_stage(stage)
    with pytest.raises(ConfigError, match="items was 6, now 7"):
        run_stage(toy_stage(tmp_path / "out", ToyConfig(items=7)))


def test_user_error_in_a_worker_comes_out_bare(tmp_path: Path) -> None:
    stage = replace_units(toy_stage(tmp_path / "out"), failing_units)
    with pytest.raises(DataError, match=r"^no such file$") as caught:
        run_stage(stage, follow=True)
    assert caught.value.__suppress_context__


def failing_units() -> list[Unit]:
    raise DataError("no such file")


def replace_units(stage, units):  # type: ignore[no-untyped-def]
    import dataclasses

    return dataclasses.replace(stage, units=units)


def test_follower_of_a_failed_producer_stops_with_its_reason(tmp_path: Path) -> None:
    producer = replace_units(toy_stage(tmp_path / "first"), failing_units)
    with pytest.raises(DataError, match="no such file"):
        run_stage(producer)
    follower = toy_stage(tmp_path / "second")
    follower = replace_units(follower, partial(part_units, producer.out, follow=True))
    with pytest.raises(DataError, match=r"has failed \(no such file\): run it again"):
        run_stage(follower, follow=True)


def test_relative_output_is_refused_on_a_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # where Ray unpacks what a job brings along
    copy = tmp_path / "runtime_resources/working_dir_files/_ray_pkg_1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    with pytest.raises(ConfigError, match="give an absolute path that all nodes share"):
        run_stage(toy_stage(Path("runs/x")))
