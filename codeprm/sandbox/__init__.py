"""Running one untrusted Python program on inputs, in a process that can do no harm.

    program + inputs + limits  ->  one RunResult an input, lazily          (`runner.Sandbox`)

A slot (`Sandbox`) is a small tree of processes, each started by the one before:

    parent      the caller. Holds tests and expected outputs, feeds stdin, drains pipes, decides.
    launcher    exec'ed fresh; enters namespaces, then only waits, so that killing it kills all.
    zygote      exec'ed fresh; imports once what programs import, shuts itself in, forks and waits.
    supervisor  one a program: compiles it, forks one process a test, holds limits, reports.
    test        runs the program as `python main.py` would, with still less than the others may do.

What holds them: `namespaces` (launcher), `users`, `landlock`, `seccomp` and resource limits
(`confinement`, by the zygote for all and a little more for each test), and the rule that nothing
worth having is in there: no expected output, no environment, no descriptor but the test's own.
What the machine refuses of this is found out by trying and told by `Sandbox.level` (`levels`).

Limits: CPU time by the kernel's account decides, wall time is a backstop, and a run near its limit
is repeated (`timing`); memory by address space with room for stacks, and by what was resident at
the peak; output by counting it here. docs/sandbox.md says what is covered and what is not.
"""
