"""Directories of tables: what counts as written, what is refused, how rows are found again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codeprm.errors import CodeprmError, ConfigError, DataError
from codeprm.records import (
    Audit,
    Case,
    Problem,
    Provenance,
    Rejected,
    Solution,
    Trust,
    bucket_of,
)
from codeprm.sandbox.levels import Level
from codeprm.steps.execute import ExecuteConfig
from codeprm.steps.run import run_here
from codeprm.steps.verify import VerifyConfig
from codeprm.tables import Directory, PartWriter, finish_directory, open_directory, start_directory
from codeprm.tables.parts import Attempts, Spool
from codeprm.tables.protocol import NOT_IDENTITY, plain_config
from tests.rows import audit_row, problem_row
from tests.toy import ToyConfig, toy_stage


def case(problem_id: str, index: int, text: str = "1") -> Case:
    return Case(problem_id=problem_id, index=index, input=text, expected=text, public=False)


def solution(name: str, problem_id: str = "p") -> Solution:
    return Solution(
        solution_id=name, problem_id=problem_id, program=name, origin="x", has_reasoning=False
    )


def start(path: Path, config: object = None, buckets: int = 4):  # type: ignore[no-untyped-def]
    return start_directory(
        str(path), job="toy", config=config or {"a": 1}, inputs={}, buckets=buckets
    )


def test_files_are_copied_between_file_systems(tmp_path: Path) -> None:
    source, remote = Directory(str(tmp_path / "a")), Directory("memory://copied/b")
    source.write_bytes(b"1", "one")
    source.write_bytes(b"2", "below", "two")
    source.copy_to(remote, "folder")
    again = Directory(str(tmp_path / "c"))
    remote.copy_to(again)
    assert again.list_names() == []
    assert again.list_names("folder") == ["one"]
    assert (tmp_path / "c" / "folder" / "below" / "two").read_bytes() == b"2"


def test_record_round_trips_through_parquet(tmp_path: Path) -> None:
    problem = Problem(
        problem_id="p",
        name="n",
        statement="é\n",
        starter_code="",
        entry_point=None,
        difficulty="EASY",
        source="s",
        date=None,
        time_limit_s=2.0,
        memory_limit_mb=256,
        compare="grade/1",
        n_cases=1,
        n_solutions=0,
        provenance=(Provenance(dataset="d", revision="r", row=3),),
    )
    directory = start(tmp_path / "d")
    with PartWriter(directory, "part-00000", (Problem,)) as writer:
        writer.write(problem)
        writer.commit(seconds=1, attempts=1)
    assert list(directory.read_records(Problem)) == [problem]


def test_columns_that_an_older_directory_lacks_have_their_defaults(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    problem = problem_row("old")
    with PartWriter(directory, "part-00000", (Problem,)) as writer:
        writer.write(problem)
        writer.commit(seconds=1, attempts=1)
    path = str(tmp_path / "d/problems/part-00000.parquet")
    table = pq.read_table(path).append_column("of_the_future", pa.array(["x"]))
    pq.write_table(table.drop_columns(["trust", "checker"]), path)
    assert list(directory.read_records(Problem)) == [problem]
    bucket = bucket_of(problem.problem_id, 7)
    assert list(directory.read_bucket(Problem, bucket, 7)) == [problem]
    trust = directory.read_table(Problem, columns=("problem_id", "trust")).column("trust")
    assert trust.to_pylist() == ["both"]
    pq.write_table(table.drop_columns(["statement"]), path)
    with pytest.raises(DataError, match="problems has no column statement"):
        list(directory.read_records(Problem))


def test_a_setting_that_decides_no_row_is_no_part_of_the_identity(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Inner:
        decides: int = 1
        floor: str = field(default="high", metadata=NOT_IDENTITY)

    @dataclass(frozen=True)
    class Outer:
        inner: Inner

    start(tmp_path / "d", Outer(Inner()))
    start(tmp_path / "d", Outer(Inner(floor="low")))
    with pytest.raises(ConfigError, match=r"inner\.decides was 1, now 2"):
        start(tmp_path / "d", Outer(Inner(decides=2)))
    for config in (ExecuteConfig(), VerifyConfig()):
        lowered = replace(config, sandbox_floor=Level.F3)
        assert plain_config(lowered) == plain_config(config)


def test_audits_are_counted_by_conclusion_and_reason(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    with PartWriter(directory, "part-00000", (Audit,)) as writer:
        writer.write(audit_row(problem_row("a"), trust=Trust.FAILS, reasons=("weak_tests", "x")))
        writer.write(audit_row(problem_row("b")))
        commit = writer.commit(seconds=1, attempts=1)
    assert commit.counts == {
        "trust:fails": 1, "trust:both": 1, "audit:weak_tests": 1, "audit:x": 1
    }  # fmt: skip


def test_rows_without_a_commit_do_not_count(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    with PartWriter(directory, "part-00000", (Solution,)) as writer:
        writer.write(solution("half"))
    assert (tmp_path / "d/solutions/part-00000.parquet").exists()
    assert directory.committed() == []
    assert list(directory.read_records(Solution)) == []


def test_a_second_attempt_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    with PartWriter(directory, "part-00000", (Solution,)) as writer:
        writer.write(solution("old"))
    with PartWriter(directory, "part-00000", (Solution,)) as writer:
        writer.commit(seconds=0, attempts=2)
    assert list(directory.read_records(Solution)) == []


def test_manifest_sums_rows_and_reasons(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    for number in range(2):
        with PartWriter(directory, f"part-0000{number}", (Solution,)) as writer:
            writer.write(solution(f"s{number}"))
            writer.write(
                Rejected(row_id=f"r{number}", problem_id="", reason="bad", detail="", excerpt="")
            )
            writer.commit(seconds=1.5, attempts=1)
    with pytest.raises(DataError, match="did not finish"):
        directory.require_complete()
    finish_directory(directory, expected=2, extra={"wall_s": 2})
    manifest = directory.require_complete()
    assert manifest["rows"] == {"solutions": 2, "rejected": 2}
    assert manifest["counts"] == {"rejected:bad": 2}
    assert manifest["work_s"] == 3.0


def test_parts_that_nobody_planned_are_refused(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    with PartWriter(directory, "part-00009", (Solution,)) as writer:
        writer.commit(seconds=0, attempts=1)
    with pytest.raises(DataError, match="1 parts where 0 were planned"):
        finish_directory(directory, expected=0, extra={})


def test_a_row_that_stands_twice_is_our_bug(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    for part in ("part-00001-000", "part-00001-001"):
        with PartWriter(directory, part, (Solution,)) as writer:
            writer.write(solution("same"))
            writer.commit(seconds=0, attempts=1)
    with pytest.raises(CodeprmError, match="1 rows of solutions stand twice"):
        finish_directory(directory, expected=2, extra={})
    assert directory.manifest is None


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    start(tmp_path / "d", {"a": 1, "b": {"c": 2}})
    start(tmp_path / "d", {"a": 1, "b": {"c": 2}})
    with pytest.raises(ConfigError, match=r"b\.c was 2, now 3"):
        start(tmp_path / "d", {"a": 1, "b": {"c": 3}})


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        start(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a directory"):
        start(tmp_path / "file")


def test_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the --out directory of an earlier job"):
        open_directory(str(tmp_path / "none")).require_complete()


def test_identity_follows_inputs(tmp_path: Path) -> None:
    first = start(tmp_path / "first", {"a": 1})
    other = start(tmp_path / "other", {"a": 2})
    identities = {
        start_directory(
            str(tmp_path / name), job="toy", config={}, inputs={"data": source.uri}, buckets=4
        ).identity
        for name, source in [("x", first), ("y", first), ("z", other)]
    }
    assert len(identities) == 2


def test_cases_lie_one_row_group_a_problem_and_are_read_by_bucket(tmp_path: Path) -> None:
    directory = start(tmp_path / "d", buckets=1)
    ids = [f"problem-{n}" for n in range(12)]
    with PartWriter(directory, "part-00000", (Case,)) as writer:
        for problem_id in ids:
            writer.write(case(problem_id, 0))
            writer.write(case(problem_id, 1))
        writer.commit(seconds=0, attempts=1)
    file = directory.parquet_file(Case, "part-00000")
    assert file is not None
    assert file.metadata.num_row_groups == len(ids)
    for bucket in range(3):
        expected = {p for p in ids if bucket_of(p, 3) == bucket}
        assert {c.problem_id for c in directory.read_bucket(Case, bucket, 3)} == expected


def test_uri_of_another_file_system_is_a_directory_like_any_other() -> None:
    directory = start_directory(
        "memory://codeprm-test/out", job="toy", config={}, inputs={}, buckets=1
    )
    with PartWriter(directory, "part-00000", (Solution,)) as writer:
        writer.write(solution("s"))
        writer.commit(seconds=0, attempts=1)
    finish_directory(directory, expected=1, extra={})
    again = open_directory("memory://codeprm-test/out")
    assert again.require_complete()["rows"]["solutions"] == 1
    assert list(again.read_records(Solution)) == [solution("s")]


def test_unknown_scheme_is_a_user_error() -> None:
    with pytest.raises(ConfigError, match="cannot open nowhere://"):
        start_directory("nowhere://x", job="toy", config={}, inputs={}, buckets=1)


def test_damaged_manifest_says_what_to_do(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    (tmp_path / "d/manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        directory.require_complete()


def test_spool_returns_what_was_finished(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    spool = Spool(directory, "part-00000", every=2)
    for name in "abc":
        spool.add(solution(name))
    again = Spool(directory, "part-00000", every=2)
    assert [r.to_row()["solution_id"] for r in again.read()] == ["a", "b"]
    again.add(solution("d"))
    again.add(solution("e"))
    assert len(list(Spool(directory, "part-00000").read())) == 4


def test_three_deaths_condemn_the_item_in_work(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    items = [str(n) for n in range(16)]
    first = Attempts(directory, "u", "run")
    assert first.groups(items) == [items]
    second = Attempts(directory, "u", "run")
    groups = second.groups(items)
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    second.enter(groups[1])
    third = Attempts(directory, "u", "run")
    assert third.groups(items)[-4:] == [["4"], ["5"], ["6"], ["7"]]
    third.enter(["6"])
    fourth = Attempts(directory, "u", "run")
    assert fourth.condemned == {"6"}


def test_the_end_of_a_run_is_nobodys_fault(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    for session in "abcde":
        attempts = Attempts(directory, "u", session)
        assert not attempts.careful
        attempts.enter(["x"])
    assert Attempts(directory, "u", "f").condemned == set()


def test_resumed_stage_does_only_what_is_missing(tmp_path: Path) -> None:
    stage = toy_stage(tmp_path / "out", ToyConfig(units=3, items=2))
    run_here(stage)
    (tmp_path / "out/manifest.json").unlink()
    (tmp_path / "out/commits/part-00001.json").unlink()
    run_here(stage)
    journal = (tmp_path / "out.journal").read_text().split()
    assert journal.count("part-00001/0") == 2
    assert journal.count("part-00000/0") == journal.count("part-00002/1") == 1
    ids = [s.solution_id for s in open_directory(stage.out).read_records(Solution)]
    assert len(ids) == len(set(ids)) == 6


def test_a_unit_that_was_not_at_work_is_not_blamed(tmp_path: Path) -> None:
    directory = start(tmp_path / "d")
    items = [str(n) for n in range(16)]
    Attempts(directory, "u", "run")
    for _ in range(5):
        attempts = Attempts(directory, "u", "run")
        assert attempts.condemned == set()
        assert [len(group) for group in attempts.groups(items)] == [4, 4, 4, 4]
        attempts.enter(["0"])
        attempts.enter(())
