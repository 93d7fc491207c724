"""A result file + prepared problems -> OUT/completions, verdicts, scores, observations.

Each is a directory of its own, as if a sample, execute, score or observe job had written it, so
that any of these can be run again over what was imported. They are made by one step that differs in
what it yields; a table that the file has nothing for is not made.

A problem of the file is a prepared problem if the statements are equal up to white space, else if
exactly one prepared problem has its name; samples of any other are rejected. The samples of a
problem are numbered as they stand in the file, unless all of them name the completions that they
were when we exported them.

The file is in any order, so each worker reads it once a table and puts it aside by problem. Tables
share no reading: each is a stage that is resumed alone, and workers of two stages share no process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from codeprm.interop.foreign import Contents, ForeignItem, ForeignSample, Probabilities
from codeprm.interop.formats import FormatChoice, read_contents, read_items
from codeprm.interop.imported import (
    imported_completion,
    imported_observation,
    imported_score,
    imported_verdict,
)
from codeprm.interop.spool import Spool
from codeprm.records import (
    Completion,
    Observation,
    Outcome,
    Problem,
    Record,
    Score,
    Verdict,
    bucket_of,
    content_hash,
    problem_id_of,
)
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.tables import Directory

PROBLEM_COLUMNS = ("problem_id", "name", "statement", "starter_code")

MAKERS: dict[type[Record], Callable[[Contents, ForeignSample, Completion], Record | None]] = {
    Verdict: imported_verdict,
    Score: imported_score,
    Observation: imported_observation,
}
MISSING: dict[type[Record], str] = {
    Verdict: "no_verdict",
    Score: "no_score",
    Observation: "no_public_verdict",
}


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What decides the imported rows besides the file and the problems."""

    format: FormatChoice = "auto"
    """Format of the file; auto looks into it."""
    model: str = ""
    """Name of the model that wrote the samples, where the file does not tell."""


class ItemValue(NamedTuple):
    """A problem's samples, and the code that they may go on from."""

    samples: Sequence[ForeignSample]
    starter_code: str


def import_stages(
    config: ImportConfig, *, source: str, data: str, out: str, workers: Workers
) -> list[Stage]:
    """One stage a table that the file has something for."""
    directory = Directory(data)
    directory.require_complete()
    contents = read_contents(source, choice=config.format, model=config.model)
    held: dict[type[Record], bool] = {
        Completion: True,
        Verdict: contents.has_verdicts,
        Score: contents.has_scores,
        Observation: contents.has_public,
    }
    return [
        Stage(
            job="import_results",
            out=f"{out.rstrip('/')}/{table.table}",
            config=config,
            inputs={"source": source, "data": data},
            tables=(table,),
            buckets=directory.buckets,
            units=partial(bucket_units, directory.buckets),
            step=partial(ImportStep, table, contents, source=source, data=data),
            workers=workers,
        )
        for table, is_there in held.items()
        if is_there
    ]


class ImportStep:
    """Reads the file once; an item is a problem of the file with its samples."""

    spool_key: str | None = None

    def __init__(self, table: type[Record], contents: Contents, *, source: str, data: str) -> None:
        self._table = table
        self._contents = contents
        self._known = KnownProblems(Directory(data))
        self._spool = Spool()
        self._keys: dict[int, list[str]] = {}
        buckets = Directory(data).buckets
        for item in read_items(source, contents):
            self._spool.add(self._known.key_of(item), item.samples)
        for key in self._spool:
            self._keys.setdefault(bucket_of(key, buckets), []).append(key)

    def items(self, unit: Unit) -> Sequence[Item]:
        return [self._item(key) for key in self._keys.get(unit.bucket, ())]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            for index, sample in enumerate(item.value.samples):
                yield from self._records(item, index, sample)

    def close(self) -> None:
        self._spool.close()

    def _item(self, key: str) -> Item:
        samples = [_unpacked(row) for rows in self._spool.values(key) for row in rows]
        ids = {sample.completion_id for sample in samples}
        if "" in ids or len(ids) < len(samples):
            samples = [sample._replace(completion_id="") for sample in samples]
        starter_code = self._known.starter_codes.get(key)
        problem_id = "" if starter_code is None else key
        return Item(key, problem_id, ItemValue(samples, starter_code or ""))

    def _records(self, item: Item, index: int, sample: ForeignSample) -> Iterator[Record]:
        row_id = f"{item.id}:{index}"
        completion = imported_completion(
            self._contents,
            sample,
            problem_id=item.problem_id,
            index=index,
            starter_code=item.value.starter_code,
        )
        if not item.problem_id or completion is None:
            # said once, in the completions' directory
            if self._table is Completion:
                yield _unusable(row_id, item.problem_id, sample)
            return
        if self._table is Completion:
            yield completion
            return
        record = MAKERS[self._table](self._contents, sample, completion)
        if record is None:
            detail = "the file has none that is valid"
            record = rejected(row_id, item.problem_id, MISSING[self._table], detail, "")
        yield record


class KnownProblems:
    """The prepared problems, by what a file may call them."""

    def __init__(self, data: Directory) -> None:
        self.starter_codes: dict[str, str] = {}
        self._by_statement: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        for batch in data.read_batches(Problem, columns=PROBLEM_COLUMNS):
            for row in batch.to_pylist():
                self._add(row)

    def key_of(self, item: ForeignItem) -> str:
        """The problem's id, or a key of its own for an item that is none of them."""
        found = self._by_statement.get(_statement_key(item.statement)) if item.statement else None
        named = (self._by_name.get(name) for name in item.names)
        return found or next(
            (problem_id for problem_id in named if problem_id),
            content_hash("unmatched", *item.names, item.statement),
        )

    def _add(self, row: Mapping[str, str]) -> None:
        problem_id, name = row["problem_id"], row["name"]
        self.starter_codes[problem_id] = row["starter_code"]
        self._by_statement[_statement_key(row["statement"])] = problem_id
        if name:
            # a name that two problems share says nothing
            self._by_name[name] = "" if name in self._by_name else problem_id


def _statement_key(statement: str) -> str:
    return problem_id_of(statement, None)


def _unusable(row_id: str, problem_id: str, sample: ForeignSample) -> Record:
    excerpt = (sample.program or "").encode("utf-8", "backslashreplace").decode()
    if not problem_id:
        detail = "no problem in --data has its statement, and not exactly one has its name"
        return rejected(row_id, "", "no_problem", detail, excerpt)
    detail = "its code is missing or not valid text"
    return rejected(row_id, problem_id, "no_code", detail, excerpt)


def _unpacked(row: Iterable[object]) -> ForeignSample:
    sample = ForeignSample(*row)  # type: ignore[arg-type]
    outcome, pair = sample.outcome, sample.probabilities
    return sample._replace(
        outcome=None if outcome is None else Outcome(outcome),
        probabilities=None if pair is None else Probabilities(*pair),
    )
