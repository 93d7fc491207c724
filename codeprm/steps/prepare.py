"""Raw rows -> a dataset directory, in two stages.

    clean   a share of the source's rows -> problems, cases, solutions, rejected (by source part)
    unite   a bucket of problems -> the same, each problem once (by bucket of problems)

Duplicates of a problem can lie anywhere in the source; since the second stage reads by bucket of
the problem's content hash, they meet there without a shuffle and without a table in the driver.
The first stage's directory lies inside the second's, in `work/`, and goes when that is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TypeVar

from codeprm.cleaning import CleanConfig, Cleaned, clean, unite
from codeprm.datasets import dataset_named
from codeprm.datasets.base import Part, row_id_of
from codeprm.errors import ConfigError, DataError
from codeprm.places import ModelPlace, Place
from codeprm.records import Case, Problem, Record, Rejected, Solution
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.judging_files import read_judging, united
from codeprm.steps.run import rejected
from codeprm.tables import Directory

TABLES: tuple[type[Record], ...] = (Problem, Case, Solution)

R = TypeVar("R", bound=Record)
P = TypeVar("P", Case, Solution)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What decides the rows of a prepared dataset."""

    dataset: str = "minitaco"
    """Name of the dataset: minitaco, taco."""
    source: ModelPlace = ""
    """Path or Hub id to read it from; empty: where the dataset lives."""
    split: str = "train"
    """Split to read; keep test out of training."""
    revision: str | None = None
    """Revision on the Hub; the dataset's pinned one unless given."""
    max_problems: int = 0
    """Read at most so many rows of the source; 0 reads all."""
    buckets: int = 64
    """Into how many parts the problems are divided; parts are what work is shared by."""
    tokenizer: ModelPlace = ""
    """Checkpoint or Hub repository whose tokens the length rule counts; empty: bytes only."""
    special_judge: Place = ""
    """JSON lines {"idx" or "problem", "special_judge", "case"}: problems of this split that have
    several right answers (1), ignore case (2) or compare numbers as floats (3)."""
    checkers: Place = ""
    """Checker functions, by problem: a folder of NAME.py or JSON lines {"problem", "checker"}."""
    exclude: Place = ""
    """Dataset directory whose problems are rejected: a test set without what was trained on."""
    clean: CleanConfig = field(default_factory=CleanConfig)
    """The cleaning rules."""

    def __post_init__(self) -> None:
        if self.buckets < 1 or self.max_problems < 0:
            raise ConfigError("buckets must be at least 1, max_problems cannot be below 0")


def prepare_stages(config: PrepareConfig, out: str, workers: Workers) -> tuple[Stage, Stage]:
    """The two stages, to be run in order; the second one's `out` is the dataset directory."""
    named = {
        "source": config.source,
        "special_judge": config.special_judge,
        "checkers": config.checkers,
        "exclude": config.exclude,
    }
    inputs = {name: place for name, place in named.items() if place}
    # a fault in these is said before anything runs
    if config.exclude:
        Directory(config.exclude).require_complete()
    read_judging(special_judge=config.special_judge, checkers=config.checkers)
    work = f"{out.rstrip('/')}/work"
    clean_stage = Stage(
        job="clean",
        out=work,
        config=config,
        inputs=inputs,
        tables=TABLES,
        buckets=config.buckets,
        units=partial(source_units, config),
        step=partial(CleanStep, config),
        workers=workers,
        unique=False,
    )
    unite_stage = Stage(
        job="prepare",
        out=out,
        config=config,
        inputs=inputs,
        tables=TABLES,
        buckets=config.buckets,
        units=partial(bucket_units, config.buckets),
        step=partial(UniteStep, work, config.buckets, config.exclude),
        workers=workers,
    )
    return clean_stage, unite_stage


def source_units(config: PrepareConfig) -> Iterator[Unit]:
    """One unit a part of the source, up to `max_problems` rows."""
    left = config.max_problems or None
    plan = dataset_named(config.dataset).plan(config.source, config.split, config.revision)
    if not plan:
        raise DataError(f"no rows in {config.source or config.dataset}, split {config.split}")
    for number, part in enumerate(plan):
        if left is not None and left <= 0:
            return
        rows = part.n_rows if left is None else min(part.n_rows, left)
        source = asdict(part) | {"n_rows": rows}
        yield Unit(name=f"part-{number:05d}", bucket=number, source=source)
        left = None if left is None else left - rows


class CleanStep:
    """Raw rows of a source part -> cleaned rows, each under its own problem."""

    spool_key: str | None = None

    def __init__(self, config: PrepareConfig) -> None:
        self._config = config
        self._dataset = dataset_named(config.dataset)
        self._count_tokens = token_counter(config.tokenizer) if config.tokenizer else None
        self._judging = read_judging(special_judge=config.special_judge, checkers=config.checkers)

    def items(self, unit: Unit) -> Sequence[Item]:
        part = Part(**unit.source)
        return [Item(row_id_of(row.provenance), "", row) for row in self._dataset.read(part)]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            provenance, value = item.value
            if isinstance(value, Rejected):
                yield value
                continue
            cleaned = clean(
                value,
                provenance=provenance,
                config=self._config.clean,
                count_tokens=self._count_tokens,
            )
            if isinstance(cleaned, Rejected):
                yield cleaned
            else:
                problem = self._judging.applied(cleaned.problem)
                yield from records_of(cleaned._replace(problem=problem))

    def close(self) -> None:
        """Nothing is held."""


class UniteStep:
    """The cleaned rows of a bucket of problems -> each problem once."""

    spool_key: str | None = None

    def __init__(self, work: str, buckets: int, exclude: str = "") -> None:
        self._work = Directory(work)
        self._buckets = buckets
        self._exclude = Directory(exclude) if exclude else None

    def items(self, unit: Unit) -> Sequence[Item]:
        problems: dict[str, list[Problem]] = {}
        for problem in self._read(Problem, unit):
            problems.setdefault(problem.problem_id, []).append(problem)
        cases = _by_problem(self._read(Case, unit))
        solutions = _by_problem(self._read(Solution, unit))
        items = []
        excluded = self._excluded(unit.bucket)
        dropped = list(self._read(Rejected, unit))
        for problem_id, rows in problems.items():
            if problem_id in excluded:
                detail = "one of the data set that --exclude names"
                dropped.append(rejected(problem_id, problem_id, "excluded", detail, rows[0].name))
                continue
            rows.sort(key=lambda problem: problem.provenance[0].row)
            first = Cleaned(
                rows[0], tuple(cases.get(problem_id, ())), tuple(solutions.get(problem_id, ())), ()
            )
            others = [Cleaned(row, (), (), ()) for row in rows[1:]]
            items.append(Item(problem_id, problem_id, [first, *others]))
        return [*items, Item(f"rejected-{unit.name}", "", dropped)]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            if item.problem_id:
                whole = unite(item.value)
                parts = [part.problem for part in item.value]
                yield from records_of(whole._replace(problem=united(whole.problem, parts)))
            else:
                yield from item.value

    def close(self) -> None:
        """Nothing is held."""

    def _excluded(self, bucket: int) -> set[str]:
        if self._exclude is None:
            return set()
        rows = self._exclude.read_bucket(Problem, bucket, self._buckets)
        return {problem.problem_id for problem in rows}

    def _read(self, record: type[R], unit: Unit) -> Iterator[R]:
        for part in self._work.committed():
            yield from self._work.read_part_bucket(record, part, unit.bucket, self._buckets)


def token_counter(model: str) -> Callable[[str], int]:
    """Counts a text's tokens by the tokenizer of a checkpoint or a Hub repository."""
    from codeprm.encoding import encode_text, load_tokenizer

    tokenizer = load_tokenizer(model)
    return lambda text: len(encode_text(tokenizer, text))


def records_of(cleaned: Cleaned) -> Iterator[Record]:
    """The problem, its cases and solutions, then what was dropped of it."""
    yield cleaned.problem
    yield from cleaned.cases
    yield from cleaned.solutions
    yield from cleaned.rejected


def _by_problem(records: Iterator[P]) -> dict[str, list[P]]:
    found: dict[str, list[P]] = {}
    for record in records:
        found.setdefault(record.problem_id, []).append(record)
    return found
