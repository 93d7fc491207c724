"""A stage small enough to kill: units of numbered items, each becoming one Solution."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from codeprm.records import Record, Solution
from codeprm.steps.base import Item, Stage, Unit, Workers


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """`poison` items kill their worker; with `once` only the first time that they are seen."""

    units: int = 4
    items: int = 6
    poison: tuple[str, ...] = ()
    once: bool = False
    item_s: float = 0.0


@dataclass
class ToyStep:
    """Writes a line to `journal` for each item it works on."""

    config: ToyConfig
    journal: str
    spool_key: str | None = None
    _seen: set[str] = field(default_factory=set)

    def items(self, unit: Unit) -> Sequence[Item]:
        ids = [f"{unit.name}/{index}" for index in range(self.config.items)]
        return [Item(item_id, f"problem-{unit.bucket}", index) for index, item_id in enumerate(ids)]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            self._note(item.id)
            if self.config.item_s:
                time.sleep(self.config.item_s)
            yield Solution(
                solution_id=item.id,
                problem_id=item.problem_id,
                program=f"print({item.value})",
                origin="toy",
                has_reasoning=False,
            )

    def close(self) -> None:
        pass

    def _note(self, item_id: str) -> None:
        path = Path(self.journal)
        before = path.read_text() if path.exists() else ""
        with path.open("a") as file:
            file.write(f"{item_id}\n")
        if item_id in self.config.poison and not (self.config.once and item_id in before.split()):
            os.kill(os.getpid(), signal.SIGKILL)


def toy_units(config: ToyConfig) -> list[Unit]:
    return [Unit(name=f"part-{number:05d}", bucket=number) for number in range(config.units)]


def toy_stage(
    out: Path,
    config: ToyConfig | None = None,
    *,
    workers: Workers | None = None,
    spool_key: str | None = None,
) -> Stage:
    config = config or ToyConfig()
    journal = str(out.parent / f"{out.name}.journal")
    return Stage(
        job="toy",
        out=str(out),
        config=config,
        inputs={},
        tables=(Solution,),
        buckets=config.units,
        units=partial(toy_units, config),
        step=partial(ToyStep, config, journal, spool_key),
        workers=workers or Workers(),
    )
