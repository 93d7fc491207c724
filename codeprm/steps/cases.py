"""Tests by problem, for workers that grade: found by file footers, kept in a bounded cache.

Tests can be megabytes a problem, so no table of them is ever read whole: a problem's cases are one
row group of their part. The cache is bounded by bytes; programs come problem by problem, so a few
problems are enough.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from codeprm.records import Case, Problem
from codeprm.tables import Directory
from codeprm.tables.directory import problems_of_row_groups

CACHE_BYTES = 256 << 20


class CaseStore:
    """The cases and the problems of a dataset directory, by problem id."""

    def __init__(self, data: str, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._directory = Directory(data)
        self._cache: OrderedDict[str, tuple[Case, ...]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._cache_bytes = cache_bytes
        self._indexed: set[str] = set()
        self._places: dict[str, list[tuple[str, int]]] = {}
        self._problems: dict[str, Problem] = {}

    def open_bucket(self, bucket: int, buckets: int) -> None:
        """Make the problems of a bucket known; all of them where the divisions differ."""
        if buckets == self._directory.buckets:
            parts: Iterable[str] = self._directory.parts_of_bucket(bucket)
        else:
            parts = self._directory.committed()
        for part in parts:
            if part not in self._indexed:
                self._index(part)
                self._indexed.add(part)

    def problem(self, problem_id: str) -> Problem | None:
        """The problem, if an open bucket holds it."""
        return self._problems.get(problem_id)

    def cases(self, problem_id: str) -> tuple[Case, ...]:
        """The problem's tests in order; none where it has none."""
        if problem_id in self._cache:
            self._cache.move_to_end(problem_id)
            return self._cache[problem_id]
        cases = tuple(sorted(self._read(problem_id), key=lambda case: case.index))
        self._cache[problem_id] = cases
        self._sizes[problem_id] = sum(len(case.input) + len(case.expected) for case in cases)
        while len(self._cache) > 1 and sum(self._sizes.values()) > self._cache_bytes:
            oldest, _ = self._cache.popitem(last=False)
            del self._sizes[oldest]
        return cases

    def _index(self, part: str) -> None:
        for problem in self._directory.read_records(Problem, [part]):
            self._problems[problem.problem_id] = problem
        file = self._directory.parquet_file(Case, part)
        if file is None:
            return
        with file:
            for group, problem_id in enumerate(problems_of_row_groups(file)):
                assert problem_id is not None, "cases are written one row group a problem"
                self._places.setdefault(problem_id, []).append((part, group))

    def _read(self, problem_id: str) -> Iterable[Case]:
        for part, group in self._places.get(problem_id, ()):
            file = self._directory.parquet_file(Case, part)
            assert file is not None
            with file:
                for row in file.read_row_group(group).to_pylist():
                    yield Case.from_row(row)
