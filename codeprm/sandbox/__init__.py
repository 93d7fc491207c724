"""Running one untrusted Python program on inputs, in a process that can do no harm.

    program + inputs + limits  ->  one RunResult an input, lazily          (`runner.Sandbox`)

A slot (`Sandbox`) is a small tree of processes, each started by the one before:

    parent      the caller. Holds tests and expected outputs, feeds stdin, drains pipes, decides.
    launcher    exec'ed fresh; enters namespaces, then only waits, so that killing it kills all.
    zygote      exec'ed fresh; imports once what programs import, then forks and waits.
    supervisor  one a program: compiles it, forks one process a test, holds limits, reports.
    test        applies its own limits and runs the program as `python main.py` would.

Covered: CPU time, wall time, memory, output, open files and core dumps are limited; files are
read-only and cannot be written; no other process can be started, seen or left behind; no network;
no capability, environment variable or descriptor of the parent; no state passes between tests; the
expected outputs are never in any of these processes. What the machine refuses of this is missing
from `Sandbox.level`: "F3" is resource limits alone, "F3+pid+net+ipc+mnt+nofork" all of the above.

Not covered: the file system can be read; most system calls are allowed; a program can disturb its
own supervisor, which ends as a sandbox error and never as a label; memory is limited by address
space with room for thread stacks, and judged by what was resident at the peak.
"""
