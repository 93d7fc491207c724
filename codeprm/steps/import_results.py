"""A result file + prepared problems -> OUT/completions, OUT/verdicts, OUT/scores.

Each is a directory of its own, as if a sample, execute or score job had written it, so that any of
these can be run again over what was imported. The three are made by one step that differs in what
it yields. A problem of the file is a prepared problem if the statements are equal up to white
space, else if exactly one prepared problem has its name; samples of any other are rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from codeprm.interop import (
    ResultFile,
    ResultItem,
    imported_completion,
    imported_score,
    imported_verdict,
    read_results,
)
from codeprm.records import (
    Completion,
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

PROBLEM_COLUMNS = ("problem_id", "name", "statement")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What decides the imported rows besides the file and the problems."""

    format: Literal["coderm"] = "coderm"
    """Format of the file."""


def import_stages(
    config: ImportConfig, *, source: str, data: str, out: str, workers: Workers
) -> list[Stage]:
    """One stage a table; none for scores if the file has none."""
    file = read_results(source)
    directory = Directory(data)
    directory.require_complete()
    tables: list[type[Record]] = [Completion, Verdict]
    if file.has_scores:
        tables.append(Score)
    return [
        Stage(
            job="import_results",
            out=f"{out.rstrip('/')}/{table.table}",
            config=config,
            inputs={"source": source, "data": data},
            tables=(table,),
            buckets=directory.buckets,
            units=partial(bucket_units, directory.buckets),
            step=partial(ImportStep, table, source=source, data=data),
            workers=workers,
        )
        for table in tables
    ]


class ImportStep:
    """Reads the file once a worker; an item is a problem of the file with its samples."""

    spool_key: str | None = None

    def __init__(self, table: type[Record], *, source: str, data: str) -> None:
        self._table = table
        self._file = read_results(source)
        self._buckets = Directory(data).buckets
        self._rows: dict[int, list[Item]] = {}
        for item in _matched(self._file, Directory(data)):
            self._rows.setdefault(bucket_of(item.id, self._buckets), []).append(item)

    def items(self, unit: Unit) -> Sequence[Item]:
        return self._rows.get(unit.bucket, [])

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            for index, result in enumerate(item.value):
                yield from self._records(item, index, result)

    def close(self) -> None:
        """Nothing is held."""

    def _records(self, item: Item, index: int, result: Mapping[str, Any]) -> Iterator[Record]:
        row_id = f"{item.id}:{index}"
        completion = imported_completion(
            self._file, result, problem_id=item.problem_id, index=index
        )
        if not item.problem_id or completion is None:
            # said once, in the completions' directory
            if self._table is Completion:
                yield _unusable(row_id, item, result)
            return
        if self._table is Completion:
            yield completion
            return
        record: Record | None
        if self._table is Verdict:
            record = imported_verdict(result, completion)
        else:
            record = imported_score(self._file, result, completion)
        if record is None:
            reason = "no_verdict" if self._table is Verdict else "no_score"
            record = rejected(
                row_id, item.problem_id, reason, "the file has none that is valid", ""
            )
        yield record


def _unusable(row_id: str, item: Item, result: Mapping[str, Any]) -> Record:
    if not item.problem_id:
        detail = "no problem in --data has its statement, and not exactly one has its name"
        return rejected(row_id, "", "no_problem", detail, _excerpt(result))
    detail = "its code is missing or not valid text"
    return rejected(row_id, item.problem_id, "no_code", detail, _excerpt(result))


def _excerpt(result: Mapping[str, Any]) -> str:
    return str(result.get("code", "")).encode("utf-8", "backslashreplace").decode()


def _matched(file: ResultFile, data: Directory) -> Iterator[Item]:
    """Items by problem: a problem that stands in the file twice has its samples one after another.

    An item without a problem has an id that is its own statement's, and no problem id.
    """
    by_statement, by_name = _indexes(data)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    matched: set[str] = set()
    for item in file.items:
        problem_id = _problem_of(item, by_statement, by_name)
        key = problem_id or content_hash("unmatched", item.name, item.statement)
        if problem_id:
            matched.add(problem_id)
        groups.setdefault(key, []).extend(item.results)
    for key, results in groups.items():
        yield Item(key, key if key in matched else "", results)


def _problem_of(
    item: ResultItem, by_statement: Mapping[str, str], by_name: Mapping[str, str]
) -> str:
    return by_statement.get(_statement_key(item.statement)) or by_name.get(item.name, "")


def _indexes(data: Directory) -> tuple[dict[str, str], dict[str, str]]:
    by_statement: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for batch in data.read_batches(Problem, columns=PROBLEM_COLUMNS):
        for row in batch.to_pylist():
            by_statement[_statement_key(row["statement"])] = row["problem_id"]
            if row["name"]:
                # a name that two problems share says nothing
                by_name[row["name"]] = "" if row["name"] in by_name else row["problem_id"]
    return by_statement, by_name


def _statement_key(statement: str) -> str:
    return problem_id_of(statement, None)
