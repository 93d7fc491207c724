"""Executing again: which earlier verdicts stand, and how they are marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.records import Case, Completion, Outcome, Problem, Verdict
from codeprm.steps.base import Workers
from codeprm.steps.execute import ExecuteConfig, execute_stage
from codeprm.steps.previous import KINDS, Kind, Previous, Standing, standing_verdicts
from codeprm.tables import Directory
from codeprm.tables.protocol import input_identity, plain_config
from tests.rows import case_row, completion_row, problem_row, verdict_row, write_directory

PROBLEM = problem_row("p")
COMPLETIONS = [completion_row(PROBLEM, n) for n in range(len(Outcome))]
VERDICTS = [verdict_row(c, o) for c, o in zip(COMPLETIONS, Outcome, strict=True)]


def standing(uri: str, *only: Kind) -> dict[str, Verdict]:
    previous = Previous(verdicts=uri, only=only)
    return {
        key: verdict
        for bucket in range(2)
        for key, verdict in standing_verdicts(previous, bucket, 2).items()
    }


@pytest.mark.parametrize(
    ("only", "made_again"),
    [
        (("timed_out",), {Outcome.TIME_LIMIT}),
        (("errored",), {Outcome.RUNTIME_ERROR, Outcome.COMPILE_ERROR, Outcome.MEMORY_LIMIT}),
        (("failed",), {o for o in Outcome if o.label == "fail"}),
        (("unknown",), {Outcome.QUARANTINED, Outcome.FLAKY, Outcome.SANDBOX_ERROR}),
        (("failed", "unknown"), set(Outcome) - {Outcome.PASSED}),
    ],
)
def test_verdicts_of_other_kinds_stand(
    tmp_path: Path, only: tuple[Kind, ...], made_again: set[Outcome]
) -> None:
    uri = write_directory(tmp_path / "v", VERDICTS, (Verdict,), buckets=3)
    kept = standing(uri, *only)
    assert {verdict.outcome for verdict in kept.values()} == set(Outcome) - made_again
    assert all(verdict.completion_id == key for key, verdict in kept.items())
    assert {v.sandbox_level for v in kept.values()} == {"previous:F3"}
    assert {v.grade_version for v in kept.values()} == {"grade/1"}


def test_a_bucket_is_read_once_for_all_of_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completions = [completion_row(problem_row(f"p{n}"), 0) for n in range(8)]
    rows = [verdict_row(completion, Outcome.PASSED) for completion in completions]
    uri = write_directory(tmp_path / "v", rows, (Verdict,), buckets=3)
    previous = Previous(verdicts=uri, only=("failed",))
    expected = [standing_verdicts(previous, bucket, 2) for bucket in (0, 1)]
    assert all(expected)
    read: list[int] = []
    whole = Directory.read_bucket

    def counted(self: Directory, record: type[Any], bucket: int, buckets: int) -> Any:
        read.append(bucket)
        return whole(self, record, bucket, buckets)

    monkeypatch.setattr(Directory, "read_bucket", counted)
    standing = Standing(previous, 2)
    asked = (0, 0, 1, 1, 1, 0)
    assert [standing.of_bucket(bucket) for bucket in asked] == [expected[b] for b in asked]
    assert read == [0, 1, 0]


def test_a_verdict_carried_twice_is_marked_once(tmp_path: Path) -> None:
    first = standing(write_directory(tmp_path / "a", VERDICTS, (Verdict,)), "failed")
    again = write_directory(tmp_path / "b", first.values(), (Verdict,))
    assert {v.sandbox_level for v in standing(again, "failed").values()} == {"previous:F3"}


def test_no_kind_is_passed_over(tmp_path: Path) -> None:
    assert set().union(*KINDS.values()) == set(Outcome) - {Outcome.PASSED}
    with pytest.raises(ConfigError, match="failed, timed_out, errored, unknown"):
        Previous(verdicts=str(tmp_path), only=())


def test_earlier_verdicts_are_an_input_and_their_kinds_decide_the_rows(tmp_path: Path) -> None:
    data = write_directory(tmp_path / "p", [PROBLEM, case_row(PROBLEM)], (Problem, Case))
    completions = write_directory(tmp_path / "c", COMPLETIONS, (Completion,))
    verdicts = write_directory(tmp_path / "v", VERDICTS, (Verdict,), buckets=3)

    def stage(*only: Kind, config: ExecuteConfig | None = None) -> object:
        return execute_stage(
            config or ExecuteConfig(),
            data=data,
            completions=completions,
            out=str(tmp_path / "out"),
            workers=Workers(),
            previous=Previous(verdicts=verdicts, only=only) if only else None,
        )

    plain, again, turned = stage(), stage("failed", "unknown"), stage("unknown", "failed")
    assert "previous" not in plain.inputs  # type: ignore[attr-defined]
    assert again.inputs["previous"] == verdicts  # type: ignore[attr-defined]
    assert input_identity(verdicts)
    configs = [plain_config(s.config) for s in (plain, again, turned)]  # type: ignore[attr-defined]
    assert configs[1] == configs[2] != configs[0]
    assert configs[0] == plain_config(ExecuteConfig())


def test_verdicts_of_other_completions_are_refused(tmp_path: Path) -> None:
    completions = write_directory(tmp_path / "c", COMPLETIONS, (Completion,))
    other = completion_row(problem_row("other"), 0)
    for buckets in (2, 3):
        uri = write_directory(
            tmp_path / f"v{buckets}",
            [verdict_row(other, Outcome.PASSED)],
            (Verdict,),
            buckets=buckets,
        )
        previous = Previous(verdicts=uri, only=("failed",))
        with pytest.raises(DataError, match=r"no verdict in .* is about a completion in"):
            previous.require_related(completions)
        previous.require_related(write_directory(tmp_path / f"o{buckets}", [other], (Completion,)))
        previous.require_related(write_directory(tmp_path / f"e{buckets}", [], (Completion,)))
