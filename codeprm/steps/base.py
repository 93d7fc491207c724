"""What a step is: items of one unit in, records out. It knows nothing of where it runs.

    Unit  -> step.items(unit) -> [Item, ...] -> step.process(items) -> records -> the unit's parts

A unit is one share of a stage's work and names the parts it writes, the same in every output
table. Records go to the table of their type (`Record.table`); dropped rows are `Rejected` records.
`process` may be a generator or an async generator (engines). It is called with all items of a
unit, or, after the unit has killed a worker, with one item at a time, so that the item to blame
is found. Records must not depend on how items are grouped.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from codeprm.errors import ConfigError
from codeprm.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One share of the work: `name` is the part it writes, `bucket` the problems it is about.

    `source` says where its items are: a part's name, or whatever the step needs (JSON values).
    """

    name: str
    bucket: int
    source: Mapping[str, Any] = field(default_factory=dict)


class Item(NamedTuple):
    """One row to process: unique `id`, the problem it belongs to, and the value itself."""

    id: str
    problem_id: str
    value: Any


class Step(Protocol):
    """A stage's work on one unit; built once a worker, used for many units."""

    spool_key: str | None
    """Field that names an item's only record, where finished ones should survive a killed worker
    before their part is committed (sampling); None where redoing the unit is cheap."""

    def items(self, unit: Unit) -> Sequence[Item]:
        """The unit's rows, always the same ones in the same order."""
        ...

    def process(self, items: Sequence[Item]) -> Iterable[Record] | AsyncIterable[Record]:
        """Records made of the items."""
        ...

    def close(self) -> None:
        """Let go of engines and processes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many workers a stage uses and what each asks of the cluster; not part of its identity."""

    max_workers: int = 2
    """Most workers at once."""
    min_workers: int = 1
    """Fewest workers kept."""
    cpus: float = 1.0
    """Logical CPUs a worker."""
    gpus: float = 0.0
    """GPUs a worker; CPU stages ask for none."""
    memory_mb: int = 0
    """Memory a worker is packed by; 0 leaves it to the cluster."""
    units_in_flight: int = 1
    """Units that one worker holds at once; more than one keeps an engine busy between units."""
    pool: str = ""
    """Node label `pool` that workers must run on ("cpu", "gpu"); empty: anywhere."""

    def __post_init__(self) -> None:
        if self.max_workers < 1 or self.min_workers < 1 or self.units_in_flight < 1:
            raise ConfigError("max_workers, min_workers and units_in_flight must be at least 1")
        if self.cpus < 0 or self.gpus < 0 or self.memory_mb < 0:
            raise ConfigError("cpus, gpus and memory_mb cannot be below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One job's work, described without running it."""

    job: str
    """Name of the job, as in `jobs/`."""
    out: str
    """Directory to write, local path or URI."""
    config: Any
    """A dataclass: what decides the rows. Its hash is the directory's identity."""
    inputs: Mapping[str, str]
    """Name -> directory or file that the rows come from."""
    tables: tuple[type[Record], ...]
    """Record types written, besides `Rejected`."""
    buckets: int
    """Into how many parts problems are divided."""
    units: Callable[[], Iterable[Unit]]
    """Yields the units; picklable; may wait for a producer that is still running."""
    step: Callable[[], Step]
    """Builds the step inside a worker; picklable."""
    workers: Workers = field(default_factory=Workers)
    """Who does it."""
    unique: bool = True
    """Whether a row that stands twice is a bug."""
