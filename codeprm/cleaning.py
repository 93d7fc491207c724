"""Raw row -> Problem, Case, Solution: what is repaired, what is dropped, and why.

`clean` takes one row of TACO's schema and gives `Cleaned`, or `Rejected` where no problem is left.
Dropped tests and solutions are `Rejected` rows too. `unite` joins the rows of one problem.

A problem is dropped for        `bad_statement` `statement_long` `bad_encoding`
                                `bad_input_output` `case_count_mismatch` `too_few_cases`
a test for                      `bad_case` `case_long` `case_duplicate` `case_conflict`
a solution for                  `bad_solutions` (all of them) `solution_not_text`
                                `solution_encoding` `solution_syntax` `solution_short`
                                `solution_long` `solution_duplicate`

A problem without solutions stays: sampling needs it. Nothing is executed here.
`codeprm.raw_columns` says how tests are mended. A test is public where its input stands in the
statement as an example; LiveCodeBench rows, whose tests are those examples, come out public.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from codeprm.datasets.base import bounded, row_id_of
from codeprm.raw_columns import (
    CaseText,
    InputOutput,
    Unusable,
    example_inputs,
    fingerprint,
    memory_limit_mb,
    parse_cases,
    time_limit_s,
)
from codeprm.records import (
    Case,
    Problem,
    Provenance,
    Rejected,
    Solution,
    problem_id_of,
    solution_id_of,
)
from codeprm.syntax import parse_program

COMPARE = "grade/1"

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanConfig:
    """What a problem and a solution must be to be kept."""

    min_tests: int = 10
    """Fewest usable, different tests."""
    min_lines: int = 3
    """Fewest lines of a solution that are not blank."""
    max_program_bytes: int = 8192
    """Longest solution."""
    max_statement_bytes: int = 16384
    """Longest statement."""
    max_tokens: int = 2048
    """Longest statement and solution in the generator's tokens, where a tokenizer is given."""
    max_case_bytes: int = 64 << 20
    """Longest test, input or expected output."""


class Cleaned(NamedTuple):
    """What is left of one problem, and what was dropped from it."""

    problem: Problem
    cases: tuple[Case, ...]
    solutions: tuple[Solution, ...]
    rejected: tuple[Rejected, ...]


def clean(
    raw: Mapping[str, str],
    *,
    provenance: Provenance,
    config: CleanConfig | None = None,
    count_tokens: CountTokens | None = None,
) -> Cleaned | Rejected:
    """One raw row, cleaned, or the reason why nothing is left of it."""
    rules = _Rules(config or CleanConfig(), count_tokens or (lambda text: 0))
    problem_id = ""
    try:
        statement = _statement(raw, rules)
        parsed = parse_cases(raw["input_output"])
        problem_id = problem_id_of(statement, parsed.entry_point)
        drop = _Dropped(row_id_of(provenance), problem_id)
        cases = tuple(_cases(parsed, statement, problem_id, rules, drop))
        if len(cases) < rules.config.min_tests:
            detail = f"{len(cases)} of {len(parsed.cases)} usable, {rules.config.min_tests} needed"
            raise Unusable("too_few_cases", detail, statement)
    except Unusable as fault:
        return _rejected(row_id_of(provenance), problem_id, fault)
    solutions = tuple(_solutions(raw["solutions"], problem_id, rules, drop))
    problem = Problem(
        problem_id=problem_id,
        name=raw.get("name", ""),
        statement=statement,
        starter_code=_unix(raw.get("starter_code", "")),
        entry_point=parsed.entry_point,
        difficulty=raw.get("difficulty") or "UNKNOWN_DIFFICULTY",
        source=raw.get("source", ""),
        date=raw.get("date") or None,
        time_limit_s=time_limit_s(raw.get("time_limit", "")),
        memory_limit_mb=memory_limit_mb(raw.get("memory_limit", "")),
        compare=COMPARE,
        n_cases=len(cases),
        n_solutions=len(solutions),
        provenance=(provenance,),
    )
    return Cleaned(problem, cases, solutions, tuple(drop.rows))


def unite(parts: Sequence[Cleaned]) -> Cleaned:
    """One problem of several rows: the first row's problem, everybody's cases and solutions."""
    first = parts[0].problem
    assert all(part.problem.problem_id == first.problem_id for part in parts)
    rejected = [row for part in parts for row in part.rejected]
    cases: dict[str, Case] = {}
    solutions: dict[str, Solution] = {}
    for part in parts:
        drop = _Dropped(row_id_of(part.problem.provenance[0]), first.problem_id)
        for case in part.cases:
            known = cases.setdefault(case.input, case)
            if known.expected != case.expected:
                drop(f"conflict-{len(drop.rows)}", _conflict(case, known))
        for solution in part.solutions:
            solutions.setdefault(solution.solution_id, solution)
        rejected += drop.rows
    problem = dataclasses.replace(
        first,
        n_cases=len(cases),
        n_solutions=len(solutions),
        provenance=tuple(origin for part in parts for origin in part.problem.provenance),
    )
    return Cleaned(
        problem,
        tuple(dataclasses.replace(case, index=i) for i, case in enumerate(cases.values())),
        tuple(solutions.values()),
        tuple(rejected),
    )


class _Rules(NamedTuple):
    config: CleanConfig
    count_tokens: CountTokens


class _Dropped:
    """Collects what is dropped from one row."""

    def __init__(self, row_id: str, problem_id: str) -> None:
        self.row_id = row_id
        self.problem_id = problem_id
        self.rows: list[Rejected] = []

    def __call__(self, item: str, fault: Unusable) -> None:
        self.rows.append(_rejected(f"{self.row_id}#{item}", self.problem_id, fault))


def _rejected(row_id: str, problem_id: str, fault: Unusable) -> Rejected:
    return Rejected(
        row_id=row_id,
        problem_id=problem_id,
        reason=fault.reason,
        detail=bounded(fault.detail),
        excerpt=bounded(fault.excerpt),
    )


def _statement(raw: Mapping[str, str], rules: _Rules) -> str:
    for name, text in raw.items():
        # the JSON columns may escape what they like: their values are checked one by one
        if name not in ("solutions", "input_output") and not _is_storable(text):
            raise Unusable("bad_encoding", f"column {name} has a lone surrogate", text)
    statement = _unix(raw["question"]).strip()
    if not statement:
        raise Unusable("bad_statement", "the question is empty")
    excess = _excess(statement, rules.config.max_statement_bytes, rules)
    if excess:
        raise Unusable("statement_long", excess, statement)
    return statement


def _cases(
    parsed: InputOutput, statement: str, problem_id: str, rules: _Rules, drop: _Dropped
) -> Iterator[Case]:
    is_call = parsed.entry_point is not None
    examples = example_inputs(statement, is_call=is_call)
    seen: dict[str, Case] = {}
    for position, text in enumerate(parsed.cases):
        fault = _case_fault(text, seen, rules)
        if fault is not None:
            drop(f"case-{position}", fault)
            continue
        assert isinstance(text, CaseText)
        # an example is no longer than its statement (escapes at most double it): spare the rest
        may_be_public = bool(examples) and len(text.input) <= 2 * len(statement)
        case = Case(
            problem_id=problem_id,
            index=len(seen),
            input=text.input,
            expected=text.expected,
            public=may_be_public and fingerprint(text.input, is_call=is_call) in examples,
        )
        seen[text.input] = case
        yield case


def _case_fault(
    text: CaseText | Unusable, seen: Mapping[str, Case], rules: _Rules
) -> Unusable | None:
    if isinstance(text, Unusable):
        return text
    n_bytes = max(len(text.input.encode()), len(text.expected.encode()))
    if n_bytes > rules.config.max_case_bytes:
        detail = f"{n_bytes} bytes, at most {rules.config.max_case_bytes} are kept"
        return Unusable("case_long", detail, text.input)
    known = seen.get(text.input)
    if known is None:
        return None
    if known.expected == text.expected:
        return Unusable("case_duplicate", f"same as case {known.index}", text.input)
    return _conflict(text, known)


def _conflict(case: CaseText | Case, known: Case) -> Unusable:
    detail = (
        f"case {known.index} has the same input and expects "
        f"{known.expected[:100]}, not {case.expected[:100]}"
    )
    return Unusable("case_conflict", detail, case.input)


def _solutions(text: str, problem_id: str, rules: _Rules, drop: _Dropped) -> Iterator[Solution]:
    seen: set[str] = set()
    try:
        programs = _program_list(text)
    except Unusable as fault:
        drop("solutions", fault)
        return
    for position, value in enumerate(programs):
        try:
            program = _program(value, rules)
            if program in seen:
                raise Unusable("solution_duplicate", "same as an earlier solution", program)
        except Unusable as fault:
            drop(f"solution-{position}", fault)
            continue
        seen.add(program)
        yield Solution(
            solution_id=solution_id_of(problem_id, program),
            problem_id=problem_id,
            program=program,
            origin="natural",
            has_reasoning=False,
        )


def _program_list(text: str) -> list[Any]:
    try:
        programs = json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise Unusable("bad_solutions", f"not JSON: {error}", text) from None
    if not isinstance(programs, list):
        raise Unusable("bad_solutions", f"a JSON {type(programs).__name__}, not a list", text)
    return programs


def _program(value: object, rules: _Rules) -> str:
    if not isinstance(value, str):
        raise Unusable("solution_not_text", f"a JSON {type(value).__name__}", repr(value)[:1000])
    program = _unix(value).strip()
    if not _is_storable(program):
        raise Unusable("solution_encoding", "a lone surrogate", program)
    n_lines = sum(1 for line in program.splitlines() if line.strip())
    if n_lines < rules.config.min_lines:
        detail = f"{n_lines} lines, {rules.config.min_lines} needed"
        raise Unusable("solution_short", detail, program)
    excess = _excess(program, rules.config.max_program_bytes, rules)
    if excess:
        raise Unusable("solution_long", excess, program)
    if parse_program(program) is None:
        raise Unusable("solution_syntax", "not Python 3", program)
    return program


def _excess(text: str, max_bytes: int, rules: _Rules) -> str:
    """By how much a text is too long; "" if it is not."""
    n_bytes = len(text.encode())
    if n_bytes > max_bytes:
        return f"{n_bytes} bytes, at most {max_bytes} are kept"
    n_tokens = rules.count_tokens(text)
    if n_tokens > rules.config.max_tokens:
        return f"{n_tokens} tokens, at most {rules.config.max_tokens} are kept"
    return ""


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
