"""The process that programs are forked from: everything they import is imported here, once.

It forks a supervisor for each program and waits for it; it never compiles or runs a program
itself. The end of the control socket is the end of it. Where it is the first process of its own
namespace, the kernel kills with it whatever it left.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import site
import socket
import sys
import threading
from types import ModuleType

from codeprm.sandbox import policy, supervisor, wire
from codeprm.sandbox.supervisor import Host

DEFAULT_THREAD_STACK = 8 << 20

# What programs import; loading a module after the fork costs a test more than the fork. Each fork
# copies the page tables of all this, so what is large and rare (asyncio) stays out; and so does
# numpy.random, which would hand every test the same random numbers.
PRELOAD = (
    "array", "bisect", "cmath", "collections.abc", "contextlib", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fileinput", "fractions", "functools", "heapq", "io", "itertools", "json",
    "math", "numbers", "numpy", "operator", "os.path", "queue", "random", "re", "statistics",
    "string", "struct", "time", "traceback", "types", "typing", "unicodedata", "warnings", "zlib",
    "encodings.ascii", "encodings.latin_1",
)  # fmt: skip

# The names that programs of the field find predefined: those of CodeRM's import header and the
# type names that starter code of call-style problems is written with.
PREDEFINED = {
    "": ("sys", "time", "itertools", "collections", "math", "fractions", "random", "heapq"),
    "itertools": ("accumulate", "product", "permutations", "combinations"),
    "collections": ("Counter", "OrderedDict", "deque", "defaultdict", "ChainMap"),
    "functools": ("lru_cache",),
    "math": (
        "sqrt", "sin", "cos", "tan", "ceil", "fabs", "floor", "gcd", "exp", "log", "log2",
    ),
    "heapq": (
        "heappush", "heappop", "heapify", "heapreplace", "merge", "nlargest", "nsmallest",
        "heappushpop",
    ),
    "typing": (
        "Any", "Callable", "Dict", "Generator", "Iterable", "Iterator", "List", "Optional",
        "Sequence", "Set", "Tuple", "Union",
    ),
}  # fmt: skip


def main(control_fd: int, level: str) -> None:
    control = socket.socket(fileno=control_fd)
    # The first path given is where codeprm lies; programs have no business there.
    sys.path.remove(sys.argv[3])
    for name in PRELOAD:
        importlib.import_module(name)
    for add_builtins in (site.setquit, site.setcopyright, site.sethelper):
        add_builtins()
    threading.stack_size(DEFAULT_THREAD_STACK)
    seccomp = policy.filter_bytes()
    if _refuses_processes(seccomp):
        level += "+nofork"
    else:
        seccomp = None
    host = Host(predefined(), seccomp, first_of_namespace=os.getpid() == 1)
    gc.collect()
    gc.freeze()
    wire.send(control, {"is": "ready", "level": level})
    while _serve_program(control, host):
        pass
    os._exit(0)


def predefined() -> dict[str, object]:
    names: dict[str, object] = {"np": importlib.import_module("numpy")}
    for module, members in PREDEFINED.items():
        for member in members:
            found: ModuleType | object
            if module:
                found = getattr(importlib.import_module(module), member)
            else:
                found = importlib.import_module(member)
            names[member] = found
    return names


def _serve_program(control: socket.socket, host: Host) -> bool:
    message = wire.receive(control)
    if message.body is None:
        return False
    pid = os.fork()
    if pid == 0:
        supervisor.main(control, message, host)
    for descriptor in message.descriptors:
        os.close(descriptor)
    code = _wait(pid, control)
    supervisor.sweep(host)
    if code:
        wire.send(control, {"is": "lost", "code": code})
    return True


def _wait(pid: int, control: socket.socket) -> int:
    """Exit code of the supervisor; it is killed if the owner goes away."""
    watched = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(watched, select.POLLIN)
    # Messages are the supervisor's to read: only the hang-up is of interest here.
    poller.register(control, 0)
    ready = {descriptor for descriptor, _ in poller.poll()}
    os.close(watched)
    if control.fileno() in ready:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _refuses_processes(seccomp: bytes | None) -> bool:
    """Tries the filter on a process of its own: the level tells what holds, not what is hoped."""
    pid = os.fork()
    if pid == 0:
        policy.confine(cpu_time_s=1, address_space=policy.STACK_ROOM_BYTES, seccomp=seccomp)
        try:
            child = os.fork()
        except OSError:
            os._exit(0)
        if child:
            os.waitpid(child, 0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
