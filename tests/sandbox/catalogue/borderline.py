"""Row 104: programs that use a little less, and a little more, than the limit on CPU time.

Within its limit a program is within it, whatever the machine does beside. Beyond it a little, it is
too slow where the machine was quiet, and else nobody knows: `flaky`, whose label is unknown. So on
a machine with other work only a verdict of the wrong side counts against the sandbox.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, RunStatus, StdinInput

LIMITS = Limits(cpu_time_s=0.4, wall_time_s=4, memory_mb=256)
WANTED = {0.95: RunStatus.OK, 1.05: RunStatus.TIME_LIMIT}
UNKNOWN = {1.05: RunStatus.FLAKY}
SAMPLE_S = 0.02
# How many tasks may want a core at a time besides the slots, the mean of all samples: the samples
# are taken by one, and the slots' owners drain pipes.
SPARE = 0.5

# Reads how much CPU time to use: from the start of its process to its last line.
BURN = """
import time
until = float(input())
while time.process_time() < until: pass
print(7)
"""
# Reads a moment, how much to use before it, and how much after it.
SLOW_UNTIL = """
import time
moment, before, after = map(float, input().split())
until = before if time.time() < moment else after
while time.process_time() < until: pass
print(7)
"""


class Watch:
    """Whether the machine ran anything but so many busy slots in the meantime."""

    def __init__(self, *, slots: int) -> None:
        self.slots = slots
        self._samples: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    @property
    def quiet(self) -> bool:
        mean = sum(self._samples) / max(1, len(self._samples))
        return mean <= min(self.slots, os.cpu_count() or 1) + SPARE

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S):
            running = Path("/proc/loadavg").read_text().split()[3].partition("/")[0]
            # This thread is one of them.
            self._samples.append(int(running) - 1)


class Count(NamedTuple):
    """Verdicts of all runs, as (share of the limit, status)."""

    seen: Counter[tuple[float, RunStatus]]
    quiet: bool

    @property
    def share(self) -> float:
        """Of those that are as they should be."""
        return sum(self.seen[key] for key in WANTED.items()) / max(1, sum(self.seen.values()))

    @property
    def flipped(self) -> int:
        """Those that say the opposite of what they should."""
        fine = {*WANTED.items(), *UNKNOWN.items()}
        return sum(number for key, number in self.seen.items() if key not in fine)

    def __str__(self) -> str:
        counts = ", ".join(f"{n} x {status} at {share}" for (share, status), n in self.seen.items())
        return f"{counts}, quiet {self.quiet}"


def count(*, slots: int, runs: int) -> Count:
    """`runs` of each share, spread over slots that are all busy at once."""
    work = [share for _ in range(runs) for share in WANTED]
    parts = [work[number::slots] for number in range(slots)]
    with ThreadPoolExecutor(slots) as pool, Watch(slots=slots) as watch:
        counted = list(pool.map(_serve, parts))
    return Count(sum(counted, Counter()), watch.quiet)


def _serve(shares: list[float]) -> Counter[tuple[float, RunStatus]]:
    counted: Counter[tuple[float, RunStatus]] = Counter()
    with Sandbox() as slot:
        for share in shares:
            given = StdinInput(f"{share * LIMITS.cpu_time_s}\n".encode())
            counted[share, next(slot.run(BURN, [given], LIMITS)).status] += 1
    return counted
