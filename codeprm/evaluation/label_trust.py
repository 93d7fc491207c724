"""What the label gate found out about a dataset: read off the directory that `verify` wrote.

    audits + verdicts + rejected -> TrustSummary -> text

- False negatives: verdicts *fail* on solutions that came with the data. Some of these are wrong
  themselves, so the share is an upper estimate.
- False positives: verdicts *pass* on programs that are known to be wrong, and on mutants of right
  ones, of problems whose passes are labels. Some mutants are right, so theirs is an upper estimate.

Intervals are over problems: programs of one problem fail together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codeprm.evaluation.intervals import Interval, ratio_interval
from codeprm.evaluation.text_table import percent, percent_range
from codeprm.judge.gate import TEST_QUARANTINED
from codeprm.records import Audit, Label, Rejected, Verdict
from codeprm.tables import Directory

MAX_LISTED = 20
DETAIL_CHARS = 140


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with the interval of the share over problems."""

    n: int
    of: int
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSummary:
    """Counts over a whole dataset; `noted` lists dropped tests and doubted problems, bounded."""

    n_problems: int
    n_kept: int
    n_cases: int
    n_quarantined: int
    n_problems_quarantined: int
    trust: Mapping[str, int]
    reasons: Mapping[str, int]
    false_negatives: Share
    outcomes: Mapping[str, int]
    """Of the solutions that came with the data."""
    trivial: Share
    """Problems that are kept and that a trivial program passes."""
    trivial_believed: int
    """Those of them whose passes are labels all the same."""
    wrong: Share
    mutants: Share
    noted: Sequence[str]


class _Tally:
    """Sums by problem, for intervals over problems."""

    def __init__(self) -> None:
        self.counted: list[int] = []
        self.totals: list[int] = []

    def add(self, counted: int, total: int) -> None:
        self.counted.append(counted)
        self.totals.append(total)

    def share(self) -> Share:
        interval = ratio_interval(np.array(self.counted, float), np.array(self.totals, float))
        return Share(n=sum(self.counted), of=sum(self.totals), interval=interval)


def trust_summary(directory: Directory) -> TrustSummary:
    """Of a complete directory of the verify job; audits are held, not the other rows."""
    directory.require_complete()
    audits = list(directory.read_records(Audit))
    outcomes: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = {}
    columns = ("problem_id", "outcome", "label")
    for batch in directory.read_batches(Verdict, columns=columns):
        for row in batch.to_pylist():
            outcomes[row["outcome"]] += 1
            labels.setdefault(row["problem_id"], Counter())[row["label"]] += 1
    return _summary(audits, labels, outcomes, _noted(directory, audits))


def trust_text(summary: TrustSummary) -> str:
    """For a terminal and for job logs."""
    believed = summary.trivial_believed
    lines = [
        f"label gate: {summary.n_kept:,} of {summary.n_problems:,} problems kept; labels: "
        + _counts(summary.trust),
        f"tests: {summary.n_quarantined:,} of {summary.n_cases:,} quarantined, in "
        f"{summary.n_problems_quarantined:,} problems",
        "noted: " + (_counts(summary.reasons) or "nothing"),
        "solutions: " + (_counts(summary.outcomes) or "none ran"),
        _line("false negatives, upper estimate (solutions that fail)", summary.false_negatives),
        _line("problems that a trivial program passes", summary.trivial)
        + f", in {believed:,} of them passes are labels",
    ]
    if summary.wrong.of:
        lines.append(_line("false positives (wrong programs that pass)", summary.wrong))
    if summary.mutants.of:
        lines.append(_line("false positives, upper estimate (mutants that pass)", summary.mutants))
    return "\n".join([*lines, *summary.noted])


def _summary(
    audits: Sequence[Audit],
    labels: Mapping[str, Counter[str]],
    outcomes: Counter[str],
    noted: Sequence[str],
) -> TrustSummary:
    good, trivial, wrong, mutants = _Tally(), _Tally(), _Tally(), _Tally()
    for audit in audits:
        own = labels.get(audit.problem_id, Counter())
        n_fails = own[Label.FAIL.value]
        good.add(n_fails, n_fails + own[Label.PASS.value])
        if audit.kept:
            trivial.add(bool(audit.trivial_passed), 1)
        if audit.trust.in_passes:
            wrong.add(audit.n_wrong_passed, audit.n_wrong)
            mutants.add(audit.n_mutants_passed, audit.n_mutants)
    return TrustSummary(
        n_problems=len(audits),
        n_kept=sum(audit.kept for audit in audits),
        n_cases=sum(audit.n_cases for audit in audits),
        n_quarantined=sum(audit.n_quarantined for audit in audits),
        n_problems_quarantined=sum(audit.n_quarantined > 0 for audit in audits),
        trust=Counter(audit.trust.value for audit in audits if audit.kept),
        reasons=Counter(reason for audit in audits for reason in audit.reasons),
        false_negatives=good.share(),
        outcomes=outcomes,
        trivial=trivial.share(),
        trivial_believed=sum(
            bool(audit.trivial_passed) and audit.trust.in_passes for audit in audits
        ),
        wrong=wrong.share(),
        mutants=mutants.share(),
        noted=noted,
    )


def _noted(directory: Directory, audits: Sequence[Audit]) -> list[str]:
    names = {audit.problem_id: audit.name or audit.problem_id for audit in audits}
    lines = [
        f"test quarantined: {names.get(row.problem_id, '')} {row.row_id.rpartition('-')[2]}: "
        f"{row.detail[:DETAIL_CHARS]}"
        for row in directory.read_records(Rejected)
        if row.reason == TEST_QUARANTINED
    ]
    lines += [
        f"problem {'doubted' if audit.kept else 'dropped'}: {audit.name}: "
        f"{audit.detail[:DETAIL_CHARS]}"
        for audit in audits
        if not (audit.trust.in_passes and audit.trust.in_fails)
    ]
    more = len(lines) - MAX_LISTED
    return [*lines[:MAX_LISTED], *([f"... and {more:,} more"] if more > 0 else [])]


def _line(what: str, share: Share) -> str:
    interval = share.interval
    ends = "" if math.isnan(interval.low) else f" ({percent_range(interval)})"
    return f"{what}: {share.n:,} of {share.of:,} = {percent(interval.value)} %{ends}"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n:,} {name}" for name, n in ordered)
