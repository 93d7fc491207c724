"""Verdicts that stand: which completions need not be executed again.

A verdict of an earlier run, or one that came with a result file, stays unless it is of a kind that
is to be made again. What is carried over keeps its grade version; its sandbox level gets the mark
`previous:`, so that a table of verdicts says which were made here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from codeprm.errors import ConfigError, DataError
from codeprm.records import Completion, Label, Outcome, Record, Verdict
from codeprm.tables import Directory

Kind = Literal["failed", "timed_out", "errored", "unknown"]

KINDS: Mapping[Kind, frozenset[Outcome]] = {
    "failed": frozenset(outcome for outcome in Outcome if outcome.label is Label.FAIL),
    "timed_out": frozenset({Outcome.TIME_LIMIT}),
    "errored": frozenset({Outcome.RUNTIME_ERROR, Outcome.COMPILE_ERROR, Outcome.MEMORY_LIMIT}),
    "unknown": frozenset(outcome for outcome in Outcome if outcome.label is Label.UNKNOWN),
}
CARRIED = "previous:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """A directory of earlier verdicts, and the kinds of them that are made again."""

    verdicts: str
    only: tuple[Kind, ...]

    def __post_init__(self) -> None:
        if not self.only:
            raise ConfigError(f"say which verdicts to make again: {', '.join(KINDS)}")

    def require_related(self, completions: str) -> None:
        """A user error where no verdict is about one of the completions that are there."""
        ours, theirs = Directory(completions), Directory(self.verdicts)
        theirs.require_complete()
        same = ours.buckets == theirs.buckets
        judged = set() if same else _ids(theirs, Verdict, None)
        asked = False
        for bucket in range(ours.buckets):
            ids = _ids(ours, Completion, ours.parts_of_bucket(bucket))
            asked |= bool(ids)
            if same:
                judged = _ids(theirs, Verdict, theirs.parts_of_bucket(bucket))
            if ids & judged:
                return
        if asked:
            raise DataError(
                f"no verdict in {self.verdicts} is about a completion in {completions}: give the "
                "verdicts of these completions"
            )


def standing_verdicts(previous: Previous, bucket: int, buckets: int) -> dict[str, Verdict]:
    """By completion: those about a bucket's problems that are kept, with the mark."""
    again = frozenset[Outcome]().union(*(KINDS[kind] for kind in previous.only))
    return {
        verdict.completion_id: _carried(verdict)
        for verdict in Directory(previous.verdicts).read_bucket(Verdict, bucket, buckets)
        if verdict.completion_id is not None and verdict.outcome not in again
    }


class Standing:
    """What stands of the bucket that was asked for last: its parts come one after another."""

    def __init__(self, previous: Previous, buckets: int) -> None:
        self._previous = previous
        self._buckets = buckets
        self._bucket = -1
        self._verdicts: dict[str, Verdict] = {}

    def of_bucket(self, bucket: int) -> Mapping[str, Verdict]:
        """`standing_verdicts`, read again only for another bucket than before."""
        if bucket != self._bucket:
            self._verdicts = standing_verdicts(self._previous, bucket, self._buckets)
            self._bucket = bucket
        return self._verdicts


def _carried(verdict: Verdict) -> Verdict:
    level = CARRIED + verdict.sandbox_level.removeprefix(CARRIED)
    return dataclasses.replace(verdict, sandbox_level=level)


def _ids(directory: Directory, record: type[Record], parts: Sequence[str] | None) -> set[str]:
    table = directory.read_table(record, parts, ("completion_id",))
    return {value for value in table.column("completion_id").to_pylist() if value is not None}
