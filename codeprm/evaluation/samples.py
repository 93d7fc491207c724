"""The evaluation's input: what was sampled, whether it passed, what the reward model says of it.

    completions + verdicts (+ scores, + problems) -> Samples, flat arrays sorted by problem

Only samples of a known label count: those labelled `unknown` or without a verdict are left out and
counted in `excluded`, and so are problems that have no other. Where a problem's tests can tell only
one of pass and fail, what is known of it is all of one kind, so all of its samples are left out
(`one_sided_tests`). A sample without a score (too long for the model, no program) stays: its margin
is NaN and selectors put it last.

Tables are joined bucket by bucket, so only numbers and identifiers are held, about 200 bytes a
sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from codeprm.errors import DataError
from codeprm.evaluation.best_of_n import Bools, Floats, Ints
from codeprm.records import Completion, Label, Outcome, Problem, Score, Trust, Verdict
from codeprm.tables import Directory

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN_DIFFICULTY = "unknown"
OUTCOMES = tuple(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples of known label, by problem and index; NaN where a number is not known."""

    problem_ids: Sequence[str]
    names: Sequence[str]
    difficulties: Sequence[str]
    dates: Sequence[str]
    """Of the problems, as ISO 8601 has them; "" where none is known."""
    offsets: Ints
    completion_ids: pa.Array
    """Strings, one a sample."""
    index: Ints
    passed: Bools
    outcome: Ints
    """Places in `OUTCOMES`."""
    generator: Ints
    """Places in `generators`."""
    generators: Sequence[str]
    """Names of the models that wrote the samples."""
    margin: Floats
    probability: Floats
    """The reward model's, calibrated, that the program is right."""
    logprob: Floats
    num_tokens: Ints
    length: Ints
    """Characters of the program."""
    outcomes: Mapping[str, int]
    """Verdicts by outcome, those left out included."""
    excluded: Mapping[str, int]
    """Samples and problems left out, by reason."""

    @property
    def n_problems(self) -> int:
        """Problems with at least one sample of known label."""
        return len(self.problem_ids)

    @property
    def n_samples(self) -> int:
        """Samples of the problem that has most."""
        return int(np.diff(self.offsets).max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The directories that make an evaluation; without scores it is one of the generator alone."""

    completions: Directory
    verdicts: Directory
    scores: Directory | None = None
    problems: Directory | None = None

    @classmethod
    def at(
        cls, *, completions: str, verdicts: str, scores: str | None, problems: str | None
    ) -> Self:
        """Of paths or URIs; what is not given is not there."""
        return cls(
            completions=Directory(completions),
            verdicts=Directory(verdicts),
            scores=Directory(scores) if scores else None,
            problems=Directory(problems) if problems else None,
        )


class Tables(NamedTuple):
    """Rows about the same problems."""

    completions: pa.Table
    verdicts: pa.Table
    scores: pa.Table | None


class _Tally(NamedTuple):
    outcomes: Counter[str]
    excluded: Counter[str]
    matched: Counter[str]


COMPLETION_COLUMNS = (
    "completion_id", "problem_id", "index", "program", "model", "cumulative_logprob", "num_tokens",
)  # fmt: skip
VERDICT_COLUMNS = ("completion_id", "outcome", "label")
SCORE_COLUMNS = ("completion_id", "margin", "probability")


def read_samples(sources: Sources) -> Samples:
    """Join complete directories; a user error where they do not belong together."""
    import pyarrow as pa

    for directory in (sources.completions, sources.verdicts, sources.scores, sources.problems):
        if directory is not None:
            directory.require_complete()
    tally = _Tally(Counter(), Counter(), Counter())
    one_sided = _one_sided(sources.problems)
    joined = pa.concat_tables([_join(tables, one_sided, tally) for tables in _blocks(sources)])
    _require_sense(sources, joined, tally)
    joined = joined.sort_by([("problem_id", "ascending"), ("index", "ascending")])
    return _samples(joined, sources.problems, tally)


def _blocks(sources: Sources) -> Iterator[Tables]:
    tables = (sources.completions, sources.verdicts, sources.scores)
    buckets = sources.completions.buckets
    if any(d is not None and d.buckets != buckets for d in tables):
        yield _read(sources, None)  # divided differently: only the whole tables match
        return
    for bucket in range(buckets):
        yield _read(sources, bucket)


def _read(sources: Sources, bucket: int | None) -> Tables:
    def parts(directory: Directory) -> list[str] | None:
        return None if bucket is None else directory.parts_of_bucket(bucket)

    completions, verdicts, scores = sources.completions, sources.verdicts, sources.scores
    return Tables(
        completions.read_table(Completion, parts(completions), COMPLETION_COLUMNS),
        verdicts.read_table(Verdict, parts(verdicts), VERDICT_COLUMNS),
        None if scores is None else scores.read_table(Score, parts(scores), SCORE_COLUMNS),
    )


def _join(tables: Tables, one_sided: Set[str], tally: _Tally) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    completions = tables.completions
    verdict = _lookup(completions, tables.verdicts)
    outcome = verdict.column("outcome")
    tally.outcomes.update(value for value in outcome.to_pylist() if value is not None)
    label = verdict.column("label")
    known = pc.fill_null(pc.is_in(label, pa.array([Label.PASS.value, Label.FAIL.value])), False)
    left_out = outcome.filter(pc.invert(known)).to_pylist()
    tally.excluded.update("no_verdict" if value is None else value for value in left_out)
    problem_id = completions.column("problem_id")
    # a verdict made before the gate had its say, or a report without --data, shows it only here
    withheld = problem_id.filter(pc.fill_null(pc.equal(outcome, Outcome.QUARANTINED.value), False))
    doubtful = pa.array(sorted({*one_sided, *withheld.to_pylist()}), pa.string())
    decided = pc.invert(pc.is_in(problem_id, doubtful))
    tally.excluded.update(one_sided_tests=len(known.filter(pc.and_(known, pc.invert(decided)))))
    known = pc.and_(known, decided)
    tally.matched.update(verdicts=len(outcome) - outcome.null_count, rows=len(completions))
    margin = probability = pa.nulls(len(completions), pa.float64())
    if tables.scores is not None:
        score = _lookup(completions, tables.scores)
        margin, probability = score.column("margin"), score.column("probability")
        tally.matched.update(scores=len(margin) - margin.null_count)
    before = set(problem_id.unique().to_pylist())
    joined = pa.table(
        {
            "problem_id": problem_id,
            "completion_id": completions.column("completion_id"),
            "index": completions.column("index"),
            "model": completions.column("model"),
            "outcome": pc.index_in(outcome, value_set=pa.array([o.value for o in OUTCOMES])),
            "passed": pc.equal(label, Label.PASS.value),
            "margin": margin,
            "probability": probability,
            "logprob": completions.column("cumulative_logprob"),
            "num_tokens": completions.column("num_tokens"),
            "length": pc.cast(pc.utf8_length(completions.column("program")), pa.int64()),
        }
    ).filter(known)
    after = set(joined.column("problem_id").unique().to_pylist())
    tally.excluded.update(problems=len(before - after))
    return joined


def _lookup(completions: pa.Table, table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    at = pc.index_in(
        completions.column("completion_id"),
        value_set=table.column("completion_id").combine_chunks(),
    )
    return table.take(at)


def _require_sense(sources: Sources, joined: pa.Table, tally: _Tally) -> None:
    completions = sources.completions.uri
    if tally.matched["rows"] and not tally.matched["verdicts"]:
        raise DataError(
            f"no verdict in {sources.verdicts.uri} is about a completion in {completions}: give "
            "the directories that belong together"
        )
    if len(joined) == 0:
        reasons = ", ".join(f"{n} {why}" for why, n in sorted(tally.excluded.items()) if n)
        raise DataError(f"no sample of known label in {completions} ({reasons or 'it is empty'})")
    if sources.scores is None:
        return
    if not tally.matched["scores"]:
        raise DataError(
            f"no score in {sources.scores.uri} is about a completion in {completions}: give the "
            "directories that belong together"
        )
    margins = joined.column("margin").drop_null().to_numpy()
    if not np.isfinite(margins).all():
        bad = int((~np.isfinite(margins)).sum())
        raise DataError(f"{bad} margins in {sources.scores.uri} are not finite: score again")


def _samples(joined: pa.Table, problems: Directory | None, tally: _Tally) -> Samples:
    problem = joined.column("problem_id").combine_chunks().dictionary_encode()
    codes = problem.indices.to_numpy()
    offsets = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    generator = joined.column("model").combine_chunks().dictionary_encode()
    ids: list[str] = problem.dictionary.to_pylist()
    facts = _problem_facts(problems)
    known = [facts.get(i, _Facts(i)) for i in ids]
    return Samples(
        problem_ids=ids,
        names=[fact.name for fact in known],
        difficulties=[fact.difficulty for fact in known],
        dates=[fact.date for fact in known],
        offsets=offsets.astype(np.int64),
        completion_ids=joined.column("completion_id").combine_chunks(),
        index=joined.column("index").to_numpy(),
        passed=joined.column("passed").to_numpy(),
        outcome=joined.column("outcome").to_numpy().astype(np.int64),
        generator=generator.indices.to_numpy().astype(np.int64),
        generators=generator.dictionary.to_pylist(),
        margin=joined.column("margin").to_numpy(),
        probability=joined.column("probability").to_numpy(),
        logprob=joined.column("logprob").to_numpy(),
        num_tokens=joined.column("num_tokens").to_numpy(),
        length=joined.column("length").to_numpy(),
        outcomes={o.value: n for o in Outcome if (n := tally.outcomes[o.value])},
        excluded={reason: n for reason, n in sorted(tally.excluded.items()) if n},
    )


def _one_sided(problems: Directory | None) -> set[str]:
    if problems is None:
        return set()
    table = problems.read_table(Problem, columns=("problem_id", "trust"))
    columns = (table.column(name).to_pylist() for name in table.column_names)
    return {problem_id for problem_id, trust in zip(*columns, strict=True) if trust != Trust.BOTH}


class _Facts(NamedTuple):
    name: str
    difficulty: str = UNKNOWN_DIFFICULTY
    date: str = ""


def _problem_facts(problems: Directory | None) -> dict[str, _Facts]:
    if problems is None:
        return {}
    table = problems.read_table(Problem, columns=("problem_id", "name", "difficulty", "date"))
    columns = (table.column(name).to_pylist() for name in table.column_names)
    return {
        problem_id: _Facts(name or problem_id, difficulty or UNKNOWN_DIFFICULTY, date or "")
        for problem_id, name, difficulty, date in zip(*columns, strict=True)
    }
