"""A user of its own for each slot, where the machine lets one become it.

Limits that the kernel counts by user (processes, keys, pending signals) are then the slot's alone,
and what belongs to the owner, or to another slot, is a stranger's.
"""

from __future__ import annotations

import os
import resource

from codeprm.sandbox import kernel

# Far above the users of real systems; then one that small containers map as well.
FIRST_USERS = (0x7A000000, 60000)
SPREAD = (1 << 22, 5000)
# Threads count too. A program of many threads is limited by its address space first.
MAX_PROCESSES = 512


def become_stranger(slot: int) -> bool:
    """Switch to a user that is nobody else; False where that is impossible, or of no use.

    `slot` is a number no other slot of this machine has now.
    """
    if os.geteuid() != 0:
        return False
    for first, spread in zip(FIRST_USERS, SPREAD, strict=True):
        user = first + slot % spread
        if _can_read_library(user):
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            kernel.lower_limit(resource.RLIMIT_NPROC, MAX_PROCESSES)
            return True
    return False


def _can_read_library(user: int) -> bool:
    """A program may import what is not loaded yet."""
    try:
        os.setegid(user)
        os.seteuid(user)
    except OSError:
        _come_back()
        return False
    try:
        with open(os.__file__, "rb"):
            return True
    except OSError:
        return False
    finally:
        _come_back()


def _come_back() -> None:
    os.seteuid(0)
    os.setegid(0)
