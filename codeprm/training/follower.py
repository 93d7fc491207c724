"""Carries the numbers of a run to where they are kept: history, log, tracker.

Every rank has one, since every rank's checkpoint carries the history and all look at what is held
out together; only rank 0 writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from codeprm.tables import Directory
from codeprm.training.config import Following, GeneratorConfig, OrmConfig, Scaling
from codeprm.training.corpus import Index
from codeprm.training.engine import StepReport, Task
from codeprm.training.following import (
    History,
    Progress,
    Work,
    devices_of,
    is_look_due,
    memory_gib,
    step_numbers,
)
from codeprm.training.looks import look, loss_weights
from codeprm.training.packing import packing_of
from codeprm.training.sampled import PASS_AT_1, Sampler
from codeprm.training.trackers import NoTracker, Series, Tracker, start_tracker


@dataclasses.dataclass(slots=True, kw_only=True)
class Follower:
    """One rank's view of one run."""

    config: GeneratorConfig | OrmConfig
    scaling: Scaling
    following: Following
    task: Task
    engine: Any
    index: Index
    history: History
    progress: Progress
    tracker: Tracker
    work: Work
    sampler: Sampler | None = None

    def tell(self, report: StepReport) -> int:
        """Record a step; how many are done."""
        numbers = step_numbers(
            report,
            self.index.lengths[report.rows],
            weights=loss_weights(self.config),
            work=self.work,
            devices=devices_of(self.engine.device, self.scaling.workers),
            memory=memory_gib(self.engine.device),
        )
        self.history.steps.append(numbers)
        done = len(self.history.steps)
        self.tracker.write(done, numbers)
        self.progress.tell(report, numbers)
        return done

    def look_if_due(self) -> None:
        """Look at what is held out, if it is time to; the end is looked at for itself."""
        done, following = len(self.history.steps), self.following
        every = self.scaling.checkpoint_every
        if is_look_due(done, every=following.evaluate_every, checkpoint_every=every):
            self.record(self.look(following.evaluate_rows))
            self.sample()

    def look(self, n_rows: int) -> dict[str, float]:
        """At most so many held-out rows; every rank must call it."""
        packing = packing_of(self.config, self.scaling)
        return look(
            self.engine, self.task.objective, self.index, self.config, packing, n_rows=n_rows
        )

    def record(self, numbers: Mapping[str, float]) -> None:
        """A look's numbers, after the steps that are done."""
        self._tell_look(len(self.history.steps), numbers)

    def sample(self) -> None:
        """Complete held-out problems, if that is asked for; what came of them is told later."""
        done, unjudged = len(self.history.steps), self.history.unjudged
        if self.sampler is None or done in unjudged or self.history.knows(done, PASS_AT_1):
            return
        self.tell_sampled()
        unjudged[done] = self.sampler.programs(self.engine, self.task.model, done)
        self.sampler.begin(done, unjudged[done])

    def tell_sampled(self) -> None:
        """What came of all that was completed so far; waits until it is judged."""
        while self.sampler is not None and self.history.unjudged:
            step, programs = next(iter(self.history.unjudged.items()))
            self._tell_look(step, self.sampler.numbers(step, programs))
            del self.history.unjudged[step]

    def _tell_look(self, step: int, numbers: Mapping[str, float]) -> None:
        # a resumed run may be at the end already
        if numbers and self.history.add_look(step, numbers):
            self.tracker.write(step, numbers)
            self.progress.tell_look(step, numbers)


def tracker_of(
    *, rank: int, following: Following, directory: Directory, job: str, start: int, config: Any
) -> Tracker:
    """Rank 0's tracker, started; the others have none."""
    if rank:
        return NoTracker()
    name = f"{job} {directory.uri.rsplit('/', 1)[-1]}"
    series = Series(
        directory=directory, name=name, start=start, project=following.project, config=config
    )
    return start_tracker(following, series)
