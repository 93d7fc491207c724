"""The nouns of the system: one frozen dataclass a table, with its Arrow schema.

A *program* is the Python text that runs, a *completion* is what a model wrote (its `program`
is extracted from its `text`), a *solution* is a program that came with the data or was accepted
into it. The same field names serve Python, Parquet and HTTP; units are in the names.

    Problem + Case + Solution   a dataset directory        prepare, verify, annotate, merge
    Completion                  sample, import_results  -> execute, score
    Verdict                     execute, verify         -> label, report
    Audit                       verify                  -> its summary
    Example                     label                   -> train_orm
    Score                       score                   -> report
    Probe, Observation          observe                 -> report
    Rejected                    every stage: a row that was dropped, with the reason

Identifiers are content hashes, so a re-run makes the same ones. Schemas are derived from the
annotations by `columns.schema_of`, so a field is written down once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from codeprm import columns

Row = dict[str, Any]


class Outcome(StrEnum):
    """What became of one program on its tests, once for the whole system."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    COMPILE_ERROR = "compile_error"
    NO_PROGRAM = "no_program"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    SECURITY = "security"
    QUARANTINED = "quarantined"
    FLAKY = "flaky"
    SANDBOX_ERROR = "sandbox_error"

    @property
    def label(self) -> Label:
        """What training may believe of it."""
        if self is Outcome.PASSED:
            return Label.PASS
        if self in (Outcome.QUARANTINED, Outcome.FLAKY, Outcome.SANDBOX_ERROR):
            return Label.UNKNOWN
        return Label.FAIL


class Label(StrEnum):
    """Three-valued: `unknown` is counted and never trained on."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Trust(StrEnum):
    """Which verdicts of a problem's tests may be labels.

    `passes`: only those of programs that pass, since a right answer may differ from the stored one.
    `fails`: only those of programs that fail, since wrong programs pass the tests too.
    """

    BOTH = "both"
    PASSES = "passes"
    FAILS = "fails"
    NONE = "none"

    @classmethod
    def of(cls, *, passes: bool, fails: bool) -> Trust:
        """From the two things that tests can decide."""
        if passes:
            return cls.BOTH if fails else cls.PASSES
        return cls.FAILS if fails else cls.NONE

    @property
    def in_passes(self) -> bool:
        """Whether a program that passes is known to be right."""
        return self in (Trust.BOTH, Trust.PASSES)

    @property
    def in_fails(self) -> bool:
        """Whether a program that writes something else is known to be wrong."""
        return self in (Trust.BOTH, Trust.FAILS)

    def __and__(self, other: Trust) -> Trust:
        """What both trust."""
        return Trust.of(
            passes=self.in_passes and other.in_passes, fails=self.in_fails and other.in_fails
        )


class Record:
    """Base of all records: rows in, rows out, schema."""

    __slots__ = ()
    table: ClassVar[str]
    grouped: ClassVar[bool] = False
    """Whether its tables have one row group a problem."""

    def to_row(self) -> Row:
        """Plain values only: strings, numbers, booleans, None, lists and dicts of them."""
        return columns.row_of(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Inverse of `to_row`; columns that the record does not know are ignored.

        A column that is not there (an older directory) has the field's default, if it has one.
        """
        return columns.value_of(cls, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a row came from. Example: `BAAI/TACO`, `train@a1b2c3`, row 17."""

    dataset: str
    revision: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Record):
    """A competitive-programming problem without its tests.

    Example: `problem_id="6f1d..."`, `statement="Read n ..."`, `entry_point=None` (stdin style),
    `time_limit_s=2.0` (CPU, one test), `compare="grade/1"` (or `"grade/1+case"`, ...: see
    `codeprm.judge.rules`). `checker` is the source of a program that decides where several answers
    are right ("" for none: see `codeprm.judge.checker`).
    """

    table: ClassVar[str] = "problems"

    problem_id: str
    name: str
    statement: str
    starter_code: str
    entry_point: str | None
    difficulty: str
    source: str
    date: str | None
    time_limit_s: float
    memory_limit_mb: int
    compare: str
    n_cases: int
    n_solutions: int
    provenance: tuple[Provenance, ...]
    trust: Trust = Trust.BOTH
    checker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Record):
    """One test of a problem. `input` and `expected` are JSON text.

    stdin style: both are JSON strings. Call style: `input` is the JSON list of the arguments,
    `expected` the JSON value that the call must return.
    """

    table: ClassVar[str] = "cases"
    grouped: ClassVar[bool] = True

    problem_id: str
    index: int
    input: str
    expected: str
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution(Record):
    """A program that came with the data (`origin="natural"`) or that a model wrote and passed."""

    table: ClassVar[str] = "solutions"
    grouped: ClassVar[bool] = True

    solution_id: str
    problem_id: str
    program: str
    origin: str
    has_reasoning: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Record):
    """What a model wrote for a problem; `program` is extracted from `text` ("" if nothing is).

    `cumulative_logprob` is the sum over the completion's tokens at temperature 1 (nats), None
    where the engine does not tell. `finish_reason` is "stop" or "length".
    """

    table: ClassVar[str] = "completions"

    completion_id: str
    problem_id: str
    index: int
    text: str
    program: str
    model: str
    generation_id: str
    seed: int
    cumulative_logprob: float | None
    num_tokens: int
    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """The judge's word on one program: exactly one of `completion_id`, `solution_id` is set."""

    table: ClassVar[str] = "verdicts"

    completion_id: str | None
    solution_id: str | None
    problem_id: str
    outcome: Outcome
    label: Label
    cases_passed: int
    cases_run: int
    first_failure: int | None
    detail: str
    cpu_s: float
    wall_s: float
    grade_version: str
    sandbox_level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Record):
    """What the label gate found out about one problem's tests; `trust` is its conclusion.

    `reasons` are those of the conclusion, `detail` says them in words. `n_cases` came with the
    problem, `n_quarantined` of them were dropped. `trivial_passed` names the trivial programs that
    pass all tests that are left. `n_wrong`, `n_mutants`: programs run that are known, or made, to
    be wrong; `..._passed`: how many of them pass those tests.
    """

    table: ClassVar[str] = "audits"

    problem_id: str
    name: str
    kept: bool
    trust: Trust
    reasons: tuple[str, ...]
    detail: str
    n_cases: int
    n_quarantined: int
    n_references: int
    trivial_passed: tuple[str, ...]
    n_wrong: int
    n_wrong_passed: int
    n_mutants: int
    n_mutants_passed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Record):
    """One training row of the reward model; `split` is "train" or "calibration", by problem.

    `outcome` is the verdict's ("" where an older directory does not tell), `passed_share` the share
    of tests passed (0 to 1), None where the judge stopped at the first failure. `model` wrote the
    program, `codeprm.judge.edits.ORIGIN` is a program with one step broken on purpose; then
    `broken_step` is the reasoning step (comment block, from 0) that the break falls into, None if
    it comes before the first one.
    """

    table: ClassVar[str] = "examples"

    example_id: str
    problem_id: str
    prompt: str
    program: str
    label: Label
    weight: float
    split: str
    outcome: str = ""
    passed_share: float | None = None
    model: str = ""
    broken_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Record):
    """The reward model's word on a completion; `margin` is the fp32 logit of pass minus fail."""

    table: ClassVar[str] = "scores"

    completion_id: str
    problem_id: str
    margin: float
    probability: float
    model: str
    calibration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Record):
    """An input on which the programs of a problem are compared by what they write.

    No answer to it is known, or none is looked at. `input` is JSON text as in `Case`; `origin` is
    "public" (the input of a public test) or "generated".
    """

    table: ClassVar[str] = "probes"

    problem_id: str
    index: int
    input: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Record):
    """What a completion's program did on its problem's probes and public tests.

    `outputs` has one entry a probe, in the probes' order: a digest of what the program wrote,
    equal where the judge would take two outputs for the same, or "" where it came to no good end.
    `public_passed` is None where the problem has no public tests. `executions` and `cpu_s` are
    what it cost to find out.
    """

    table: ClassVar[str] = "observations"

    completion_id: str
    problem_id: str
    public_passed: bool | None
    outputs: tuple[str, ...]
    executions: int
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(Record):
    """A row that a stage dropped: which, why, and enough of it to look at (bounded)."""

    table: ClassVar[str] = "rejected"

    row_id: str
    problem_id: str
    reason: str
    detail: str
    excerpt: str


RECORDS: tuple[type[Record], ...] = (
    Problem, Case, Solution, Completion, Verdict, Audit, Example, Score, Probe, Observation,
    Rejected,
)  # fmt: skip


def content_hash(*parts: str, length: int = 20) -> str:
    """Hex digest (4 bits a character) that names content; parts are separated unambiguously."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:length]


def problem_id_of(statement: str, entry_point: str | None) -> str:
    """Two statements that differ only in white space are one problem."""
    return content_hash(" ".join(statement.split()), entry_point or "")


def solution_id_of(problem_id: str, program: str) -> str:
    """One program of one problem has one id, wherever it came from."""
    return content_hash(problem_id, program)


def completion_id_of(problem_id: str, generation_id: str, index: int) -> str:
    """`problem_id:generation_id:index`."""
    return f"{problem_id}:{generation_id}:{index}"


def bucket_of(problem_id: str, buckets: int) -> int:
    """The part of a table that holds this problem: tables are partitioned by problem."""
    return int(content_hash(problem_id, length=12), 16) % buckets


def draw_of(*parts: str) -> float:
    """A number from 0 to below 1 that the parts decide: draws by name, whatever else is there."""
    return int(content_hash(*parts, length=12), 16) / 16**12
