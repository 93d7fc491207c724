"""Seeded cases for a time, shared out among targets; what goes wrong is counted, told and kept.

A target makes one case of what a random generator gives and checks it. Each case has a generator
of its own, so seed, target and number name it and repeat it alone. A case can go wrong in three
ways: it accepts what must not be accepted (`WrongAcceptance`), another promise is broken (`Broken`,
too slow is one of them), or something is raised that no one announced. The run goes on after each.
"""

from __future__ import annotations

import dataclasses
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType
from typing import Any, NoReturn

SLICE_S = 0.2
MAX_FAILURES = 50
MAX_MESSAGE_CHARS = 2000


class WrongAcceptance(AssertionError):
    """What is wrong was taken for right: the one fault that poisons labels."""


class Broken(AssertionError):
    """Any other promise that was not kept."""


class TooSlow(BaseException):
    """Raised by the timer; no handler of the code under test may swallow it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: `share` of the time, no case longer than `limit_s`."""

    name: str
    case: Callable[[Random], None]
    share: float
    limit_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The first case that went wrong at one place in one way, and how many did after it."""

    target: str
    number: int
    kind: str
    place: str
    message: str
    times: int = 1


@dataclass(slots=True)
class Tally:
    """Of one target."""

    cases: int = 0
    crashes: int = 0
    wrong_acceptances: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0


@dataclass(slots=True)
class Fuzz:
    """One run: what was done so far, and the means to go on."""

    targets: Sequence[Target]
    seed: int
    first: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: dict[tuple[str, str, str], Failure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tallies = {target.name: Tally() for target in self.targets}

    def run(self, seconds: float, *, cases: int | None = None) -> Iterator[Failure | None]:
        """Works for a time, or until each target has done `cases`; yields each new failure.

        It also yields None now and then, so that the caller can tell how it is going.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            open_ = [t for t in self.targets if cases is None or self._done(t) < cases]
            if not open_:
                return
            target = min(open_, key=lambda t: self.tallies[t.name].seconds / t.share)
            until = min(deadline, time.monotonic() + SLICE_S)
            while time.monotonic() < until and (cases is None or self._done(target) < cases):
                failure = self._one(target)
                if failure is not None:
                    yield failure
            yield None

    def summary(self) -> dict[str, Any]:
        """The JSON line that a run ends with."""
        tallies = self.tallies.values()
        return {
            "seed": self.seed,
            "cases": sum(tally.cases for tally in tallies),
            "crashes": sum(tally.crashes for tally in tallies),
            "wrong_acceptances": sum(tally.wrong_acceptances for tally in tallies),
            "by_target": {
                name: {key: _rounded(value) for key, value in dataclasses.asdict(tally).items()}
                for name, tally in self.tallies.items()
            },
            "failures": [dataclasses.asdict(failure) for failure in self.failures.values()],
        }

    def _done(self, target: Target) -> int:
        return self.tallies[target.name].cases

    def _one(self, target: Target) -> Failure | None:
        tally = self.tallies[target.name]
        number = self.first + tally.cases
        started = time.perf_counter()
        error = _error_of(target, Random(f"{self.seed}/{target.name}/{number}"))
        took_s = time.perf_counter() - started
        tally.cases += 1
        tally.seconds += took_s
        tally.slowest_s = max(tally.slowest_s, took_s)
        if error is None:
            return None
        if isinstance(error, WrongAcceptance):
            tally.wrong_acceptances += 1
        else:
            tally.crashes += 1
        return self._note(target, number, error)

    def _note(self, target: Target, number: int, error: BaseException) -> Failure | None:
        """The failure, if it is the first of its kind at its place."""
        kind, place = type(error).__name__, _place(error)
        key = (target.name, kind, place)
        known = self.failures.get(key)
        if known is not None:
            self.failures[key] = dataclasses.replace(known, times=known.times + 1)
            return None
        message = f"{error}"[:MAX_MESSAGE_CHARS]
        failure = Failure(target.name, number, kind, place, message)
        if len(self.failures) < MAX_FAILURES:
            self.failures[key] = failure
        return failure


def _error_of(target: Target, rng: Random) -> BaseException | None:
    try:
        with _time_limit(target.limit_s):
            target.case(rng)
    except (Exception, TooSlow) as error:  # noqa: BLE001  all that is raised is a finding
        return error
    return None


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(_: int, frame: FrameType | None) -> NoReturn:
        raise TooSlow(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(error: BaseException) -> str:
    """Where in our files it was raised: a target's own line, or the line that it led to."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "codeprm" in f.filename or "fuzz" in f.filename] or list(frames)
    last = ours[-1]
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} {last.name}"


def _rounded(value: float) -> float:
    return round(value, 3) if isinstance(value, float) else value
