"""What the label gate makes of a folder's problems by itself: `prepare`, then `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchmarks.programs import ANY_TESTS, PROBLEMS
from codeprm.records import Case, Problem, Rejected
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig, prepare_stages
from codeprm.steps.run import run_here, start_stage
from codeprm.steps.verify import VerifyConfig, verify_stage
from codeprm.tables import Directory

BUCKETS = 4
MAX_REASON_CHARS = 500


class Gated(NamedTuple):
    """A problem of which the gate believes not every fail; `problem` is None if it was dropped."""

    reason: str
    problem: Problem | None
    cases: tuple[Case, ...]


def gated(data: str, folder: str) -> dict[str, Gated]:
    """Those problems by name; `folder` is written to."""
    prepared, verified = f"{folder}/prepared", f"{folder}/verified"
    config = PrepareConfig(
        dataset="taco", source=str(Path(data) / PROBLEMS), buckets=BUCKETS, clean=ANY_TESTS
    )
    clean_stage, unite_stage = prepare_stages(config, prepared, Workers())
    # The first stage's directory lies in the second's, which therefore has to be claimed first.
    start_stage(unite_stage)
    run_here(clean_stage)
    run_here(unite_stage)
    run_here(verify_stage(VerifyConfig(), data=prepared, out=verified, workers=Workers()))
    return differences(Directory(prepared), Directory(verified))


def differences(before: Directory, after: Directory) -> dict[str, Gated]:
    """Problems that are gone, have lost tests, or whose fails are no labels."""
    kept = {problem.problem_id: problem for problem in after.read_records(Problem)}
    n_before, left = _cases(before), _cases(after)
    rejected: dict[str, list[str]] = {}
    for row in after.read_records(Rejected):
        rejected.setdefault(row.problem_id, []).append(f"{row.reason}: {row.detail}")
    found: dict[str, Gated] = {}
    for problem in before.read_records(Problem):
        key = problem.problem_id
        now, cases = kept.get(key), tuple(left.get(key, ()))
        lost = len(n_before[key]) - len(cases)
        if now is None:
            words = ["dropped", *rejected.get(key, ())]
        else:
            words = [f"{lost} of {len(n_before[key])} tests quarantined"] if lost else []
            words += [] if now.trust.in_fails else [f"trust: {now.trust}"]
        if words:
            found[problem.name] = Gated("; ".join(words)[:MAX_REASON_CHARS], now, cases)
    return found


def _cases(directory: Directory) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in directory.read_records(Case):
        found.setdefault(case.problem_id, []).append(case)
    return {key: sorted(cases, key=lambda case: case.index) for key, cases in found.items()}
