"""Where our verdicts differ from imported ones, counted by what each side says, with the reason.

An imported outcome is read off another executor's message, so two failing outcomes that differ in
kind are agreement: only a changed label is a difference that matters to training and to pass@1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from codeprm.errors import DataError
from codeprm.records import Label, Outcome, Verdict
from codeprm.tables import Directory

LIKELY_REASONS: dict[tuple[Outcome, Label], str] = {
    (Outcome.TIME_LIMIT, Label.PASS): "finishes within our CPU limit a test; the imported limit "
    "was on wall time or on all tests together",
    (Outcome.MEMORY_LIMIT, Label.PASS): "fits our memory limit",
    (Outcome.WRONG_ANSWER, Label.PASS): "right on every test we have: the imported run had other "
    "tests or compared more strictly",
    (Outcome.RUNTIME_ERROR, Label.PASS): "no exception on the tests we have: the imported run had "
    "other tests or another environment",
    (Outcome.COMPILE_ERROR, Label.PASS): "compiles here: the imported run wrapped it in other code",
    (Outcome.PASSED, Label.FAIL): "fails a test that the imported run passed or did not have: look "
    "at the example",
}
WITHHELD = "our verdict is withheld: faulty tests, a borderline limit or our own fault"
OTHER = "look at the example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One kind of difference: how often, the likely reason, and one completion to look at."""

    imported: Outcome
    ours: Outcome
    count: int
    reason: str
    example: str
    example_detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """All kinds of changed labels, most frequent first."""

    n_compared: int
    n_same_outcome: int
    n_same_label: int
    n_only_ours: int
    n_only_imported: int
    causes: tuple[Cause, ...]

    @property
    def n_changed(self) -> int:
        """Completions whose label differs."""
        return self.n_compared - self.n_same_label


class _Tally:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.causes: Counter[tuple[Outcome, Outcome]] = Counter()
        self.examples: dict[tuple[Outcome, Outcome], Verdict] = {}

    def add(self, ours: Iterable[Verdict], imported: Iterable[Verdict]) -> None:
        theirs = {v.completion_id: v for v in imported if v.completion_id is not None}
        for verdict in ours:
            other = theirs.pop(verdict.completion_id or "", None)
            if other is None:
                self.counts["only_ours"] += 1
                continue
            self.counts["compared"] += 1
            self.counts["same_outcome"] += verdict.outcome is other.outcome
            if verdict.label is other.label:
                self.counts["same_label"] += 1
                continue
            kind = (other.outcome, verdict.outcome)
            self.causes[kind] += 1
            self.examples.setdefault(kind, verdict)
        self.counts["only_imported"] += len(theirs)

    def differences(self) -> Differences:
        return Differences(
            n_compared=self.counts["compared"],
            n_same_outcome=self.counts["same_outcome"],
            n_same_label=self.counts["same_label"],
            n_only_ours=self.counts["only_ours"],
            n_only_imported=self.counts["only_imported"],
            causes=tuple(
                _cause(*kind, count, self.examples[kind])
                for kind, count in self.causes.most_common()
            ),
        )


def compare_verdicts(ours: Iterable[Verdict], imported: Iterable[Verdict]) -> Differences:
    """Match verdicts on completions by id and count where the labels differ."""
    tally = _Tally()
    tally.add(ours, imported)
    return tally.differences()


def compare_directories(ours: Directory, imported: Directory) -> Differences:
    """`compare_verdicts` of two directories, a bucket at a time."""
    ours.require_complete()
    imported.require_complete()
    tally = _Tally()
    buckets = ours.buckets
    for bucket in range(buckets):
        tally.add(
            ours.read_bucket(Verdict, bucket, buckets),
            imported.read_bucket(Verdict, bucket, buckets),
        )
    differences = tally.differences()
    if differences.n_compared == 0:
        raise DataError(
            f"no verdict in {imported.uri} is about a completion judged in {ours.uri}: give the "
            "directories that belong together"
        )
    return differences


def _cause(imported: Outcome, ours: Outcome, count: int, example: Verdict) -> Cause:
    reason = WITHHELD if ours.label is Label.UNKNOWN else OTHER
    return Cause(
        imported=imported,
        ours=ours,
        count=count,
        reason=LIKELY_REASONS.get((imported, ours.label), reason),
        example=example.completion_id or "",
        example_detail=example.detail,
    )
