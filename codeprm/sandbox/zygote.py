"""The process that programs are forked from: everything they import is imported here, once.

It forks a supervisor for each program and waits for it; it never compiles or runs a program
itself. The end of the control socket is the end of it. Where it is the first process of its own
namespace, the kernel kills with it whatever it left.
"""

from __future__ import annotations

import builtins
import gc
import os
import resource
import select
import site
import socket
import sys
import threading
from types import ModuleType
from typing import Any

from codeprm.sandbox import confinement, kernel, preload, supervisor, wire
from codeprm.sandbox.child import text_streams
from codeprm.sandbox.namespaces import readable_paths
from codeprm.sandbox.supervisor import Host
from codeprm.sandbox.wire import FILES

DEFAULT_THREAD_STACK = 8 << 20
# Deeper than honest programs go without asking for it; ten times more is seconds of runaway.
RECURSION_LIMIT = 200_000


def main(told: dict[str, Any]) -> None:
    """`told` is what the launcher was told, with "namespaces" and "slot" added."""
    control = socket.socket(fileno=FILES.control)
    # The first path given is where codeprm lies; programs have no business there.
    sys.path.remove(told["paths"][0])
    preload.load(told["preload"])
    _normal_python()
    address_space = _address_space()
    held = confinement.enter(
        told["namespaces"],
        slot=told["slot"],
        libraries=readable_paths(told["paths"][1:]),
        without=told["without"],
    )
    host = Host(held, _main_module(), address_space)
    gc.collect()
    gc.freeze()
    wire.send(control, {"is": "ready", "level": held.level.value, "layers": held.names})
    while _serve_program(control, host):
        pass
    os._exit(0)


def _normal_python() -> None:
    """What a program finds; set here, so that no test has to."""
    for add_builtins in (site.setquit, site.setcopyright, site.sethelper):
        add_builtins()
    vars(builtins).update(preload.predefined())
    threading.stack_size(DEFAULT_THREAD_STACK)
    sys.argv = ["main.py"]
    sys.setrecursionlimit(RECURSION_LIMIT)
    sys.set_int_max_str_digits(0)
    text_streams()


def _main_module() -> ModuleType:
    module = ModuleType("__main__")
    vars(module)["__builtins__"] = builtins
    return module


def _address_space() -> int:
    """Bytes of this process's."""
    with open(FILES.size, "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _serve_program(control: socket.socket, host: Host) -> bool:
    order = wire.order(control)
    if order is None:
        return False
    pid = kernel.bare_fork()
    if pid == 0:
        supervisor.main(control, order, host)
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
        os.kill(pid, kernel.SIGKILL)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
