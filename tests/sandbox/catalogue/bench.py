"""Running one row on a slot and judging it, as the catalogue wants it judged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from codeprm.judge.grade import encode_input
from codeprm.judge.verdict import judge
from codeprm.records import Case, Problem, Verdict
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, RunResult
from tests.rows import problem_row
from tests.sandbox.catalogue import row as catalogue
from tests.sandbox.catalogue.arena import Arena


@dataclass
class Bench:
    """A slot, and what its programs may aim at."""

    slot: Sandbox
    arena: Arena
    level: Level
    results: list[RunResult] = field(default_factory=list)

    def run(self, row: catalogue.Row, *, slot: Sandbox | None = None) -> Verdict:
        """`results` are those of this run."""
        for before, given in row.before:
            self.judge(self.arena.text(before), [(self.arena.text(given), "")], row.limits)
        program = self.arena.filled(row.program)
        cases = [tuple(map(self.arena.filled, case)) for case in row.cases]
        assert isinstance(program, str)
        return self.judge(program, cases, row.limits, entry_point=row.entry_point, slot=slot)

    def judge(
        self,
        program: str,
        cases: Sequence[tuple[object, ...]],
        limits: Limits,
        *,
        entry_point: str | None = None,
        slot: Sandbox | None = None,
    ) -> Verdict:
        problem = dataclasses.replace(
            problem_row("catalogue"), entry_point=entry_point, n_cases=len(cases)
        )
        made = [case_of(problem, index, case) for index, case in enumerate(cases)]
        inputs = (encode_input(problem, case) for case in made)
        self.results = []
        results = (slot or self.slot).run(program, inputs, limits)
        try:
            return judge(problem, made, self._kept(results))
        finally:
            results.close()

    def _kept(self, results: Iterator[RunResult]) -> Iterator[RunResult]:
        for result in results:
            self.results.append(result)
            yield result


def case_of(problem: Problem, index: int, case: tuple[object, ...]) -> Case:
    given, expected = case
    return Case(
        problem_id=problem.problem_id,
        index=index,
        input=json.dumps(given),
        expected=json.dumps(expected),
        public=False,
    )


def peak_kb() -> int:
    """Of this process, since `forget_peak`."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0])


def forget_peak() -> None:
    """Where the kernel lets: a sandbox may have closed /proc/self to its owner."""
    with suppress(PermissionError):
        Path("/proc/self/clear_refs").write_text("5")
