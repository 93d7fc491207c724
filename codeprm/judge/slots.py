"""Where a worker grades: a slot for programs, and one for checkers, started when first used."""

from __future__ import annotations

from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox


class Slots:
    """Two slots, so that a problem's checker need not take turns with the program."""

    def __init__(self, floor: Level) -> None:
        self.programs = Sandbox(floor=floor)
        self.checkers = Sandbox(floor=floor)

    def close(self) -> None:
        """End the processes."""
        self.programs.close()
        self.checkers.close()
