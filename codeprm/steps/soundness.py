"""Before a worker runs programs: does the sandbox keep its promises on this machine?"""

from __future__ import annotations

import logging
from functools import cache

from codeprm.errors import MissingError, SandboxError
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.selftest import require_sound

TRIES = 3

logger = logging.getLogger(__name__)


@cache
def require_sound_machine(floor: Level) -> None:
    """Once a process, a second or two; a user error where a promise is broken.

    Tried again before it is believed: a loaded machine can fail a canary that measures time.
    """
    reason = ""
    for _ in range(TRIES):
        try:
            with Sandbox(floor=floor) as sandbox:
                require_sound(sandbox)
            return
        except SandboxError as error:
            reason = str(error)
            logger.warning("the sandbox's self-test is repeated: %s", reason)
    raise MissingError(
        f"untrusted programs cannot be run here ({reason}): python -m codeprm.sandbox.selftest "
        "says more"
    )
