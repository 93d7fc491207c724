"""Files that say how problems are judged: JSON lines, one row a problem, beside the data itself.

    special judges   {"idx": 7, "special_judge": true, "case": 2} as TACO's list has them, `idx` a
                     row of the split; or {"problem": NAME, ...} in place of `idx`
    checkers         {"problem": NAME, "checker": SOURCE}, or a folder of NAME.py
    wrong programs   {"problem": NAME, "program": SOURCE}, programs known to be wrong

NAME is a problem's name or its id. Of special judges, case 1 is a problem with several right
answers: without a checker its fails are no labels, and so it is with a row that gives no case. Case
2 ignores case, case 3 asks for float mode. Files may be gzipped and may lie anywhere.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from codeprm.errors import DataError
from codeprm.judge.checker import checker_fault
from codeprm.judge.rules import Rules, parse_rules, stated_tolerance
from codeprm.records import Problem, Trust
from codeprm.tables import filesystem

GZIP_MAGIC = b"\x1f\x8b"
UNKNOWN_CASE, MANY_ANSWERS, IGNORE_CASE, FLOAT = 0, 1, 2, 3
CASES = (UNKNOWN_CASE, MANY_ANSWERS, IGNORE_CASE, FLOAT)


class Judging(NamedTuple):
    """What is known of how problems are judged; keys are row numbers of the split, names, ids."""

    special: Mapping[int | str, int]
    checkers: Mapping[str, str]

    def applied(self, problem: Problem) -> Problem:
        """The problem with its rules, trust and checker."""
        special = self._special(problem)
        checker = self.checkers.get(problem.problem_id) or self.checkers.get(problem.name, "")
        rules = Rules(
            ignore_case=special == IGNORE_CASE,
            is_float=special == FLOAT,
            tolerance=stated_tolerance(problem.statement),
        )
        has_many = special in (MANY_ANSWERS, UNKNOWN_CASE) and not checker
        trust = Trust.PASSES if has_many else Trust.BOTH
        return dataclasses.replace(problem, compare=str(rules), trust=trust, checker=checker)

    def _special(self, problem: Problem) -> int | None:
        keys: list[int | str] = [origin.row for origin in problem.provenance]
        found = [self.special.get(key) for key in (*keys, problem.problem_id, problem.name)]
        return next((case for case in found if case is not None), None)


def read_judging(*, special_judge: str, checkers: str) -> Judging:
    """From the two files, either of which may be "" for none."""
    return Judging(
        special=_special_judges(special_judge) if special_judge else {},
        checkers=_checkers(checkers) if checkers else {},
    )


def united(problem: Problem, others: Sequence[Problem]) -> Problem:
    """How one problem of several rows is judged: whatever any of its rows says."""
    rules = [parse_rules(other.compare) for other in others]
    trust = Trust.BOTH
    for other in others:
        trust &= other.trust
    checker = next((other.checker for other in others if other.checker), "")
    together = Rules(
        ignore_case=any(own.ignore_case for own in rules),
        is_float=any(own.is_float for own in rules),
        tolerance=max(own.tolerance for own in rules),
    )
    return dataclasses.replace(
        problem,
        compare=str(together),
        trust=Trust.BOTH if checker else trust,
        checker=checker,
    )


def read_wrong_programs(uri: str) -> dict[str, list[str]]:
    """Programs known to be wrong, by their problem's name or id."""
    found: dict[str, list[str]] = {}
    for where, row in read_rows(uri):
        name, program = row.get("problem"), row.get("program")
        if not isinstance(name, str) or not isinstance(program, str):
            raise DataError(f'{where} has no texts "problem" and "program"')
        found.setdefault(name, []).append(program)
    return found


def read_rows(uri: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a file of JSON lines, each with its place for messages."""
    for number, line in enumerate(_bytes(uri).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{uri}, line {number},"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where} is not an object")
        yield where, row


def _special_judges(uri: str) -> dict[int | str, int]:
    found: dict[int | str, int] = {}
    for where, row in read_rows(uri):
        key, case = row.get("problem", row.get("idx")), row.get("case", UNKNOWN_CASE)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise DataError(f'{where} has neither a row number "idx" nor a name "problem"')
        if not isinstance(row.get("special_judge"), bool) or case not in CASES:
            raise DataError(f'{where} has no "special_judge" and "case" that are known')
        if row["special_judge"]:
            found[key] = case
    return found


def _checkers(uri: str) -> dict[str, str]:
    found = dict(_checker_files(uri)) if _is_folder(uri) else dict(_checker_rows(uri))
    for name, source in found.items():
        if fault := checker_fault(source):
            raise DataError(f"the checker of {name} in {uri} cannot be used: {fault}")
    return found


def _checker_rows(uri: str) -> Iterator[tuple[str, str]]:
    for where, row in read_rows(uri):
        name, source = row.get("problem"), row.get("checker")
        if not isinstance(name, str) or not isinstance(source, str):
            raise DataError(f'{where} has no texts "problem" and "checker"')
        yield name, source


def _checker_files(uri: str) -> Iterator[tuple[str, str]]:
    import pyarrow.fs as pafs

    fs, path = filesystem(uri)
    for info in sorted(fs.get_file_info(pafs.FileSelector(path)), key=lambda info: info.path):
        if info.base_name.endswith(".py"):
            source = _bytes(f"{uri.rstrip('/')}/{info.base_name}")
            yield info.base_name.removesuffix(".py"), source.decode("utf-8", "replace")


def _is_folder(uri: str) -> bool:
    import pyarrow.fs as pafs

    fs, path = filesystem(uri)
    return bool(fs.get_file_info(path).type == pafs.FileType.Directory)


def _bytes(uri: str) -> bytes:
    fs, path = filesystem(uri)
    try:
        # pyarrow would decompress by the file's name; the content decides
        with fs.open_input_stream(path, compression=None) as stream:
            data: bytes = stream.read()
        return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"no file at {uri}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{uri} cannot be read ({error})") from error
