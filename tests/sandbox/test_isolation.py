"""What a program cannot see, and what must not stay behind."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codeprm.sandbox import process
from codeprm.sandbox.preload import Preload
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput

RunOne = Callable[..., RunResult]
LIMITS = Limits(cpu_time_s=5)
ROOT = Path(__file__).parents[2]


def descendants(pid: int) -> set[int]:
    """Of this process, at any depth, as seen from here."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | descendants(child)
    return found


def all_gone(pids: set[int], within_s: float = 2.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_environment_is_scrubbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    with Sandbox() as sandbox:
        program = "import os; print(sorted(os.environ))"
        result = next(sandbox.run(program, [StdinInput(b"")], LIMITS))
    assert ast.literal_eval(result.stdout.decode()) == sorted(process.ENVIRONMENT)


def test_no_descriptor_is_inherited(run_one: RunOne) -> None:
    program = """
import os
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
print([fd for fd in range(4096) if is_open(fd)])
"""
    # 3 is the report pipe
    assert run_one(program).stdout == b"[0, 1, 2, 3]\n"


def test_expected_outputs_and_other_inputs_are_nowhere(sandbox: Sandbox) -> None:
    program = "import gc; print(''.join(['canary'] * 2) in str(gc.get_objects()))"
    inputs = [StdinInput(b"canarycanary\n"), StdinInput(b"x\n")]
    assert [r.stdout for r in sandbox.run(program, inputs, LIMITS)] == [b"False\n"] * 2


def test_a_program_that_forges_results_gains_nothing(run_one: RunOne) -> None:
    call = CallInput(entry_point="f", arguments=b"[]")
    always_equal = "class A(int):\n    def __eq__(self, o): return True\ndef f(): return A(7)"
    assert run_one(always_equal, call).value == 7
    no_value = "class A:\n    def __eq__(self, o): return True\ndef f(): return A()"
    assert run_one(no_value, call).value != 7


def test_a_run_is_lazy_and_can_be_left(sandbox: Sandbox) -> None:
    asked = []

    def inputs() -> Iterator[StdinInput]:
        for number in range(5):
            asked.append(number)
            yield StdinInput(b"%d\n" % number)

    results = sandbox.run("print(input())", inputs(), LIMITS)
    assert next(results).stdout == b"0\n"
    assert next(results).stdout == b"1\n"
    results.close()
    assert asked == [0, 1]


def test_two_runs_may_take_turns(sandbox: Sandbox) -> None:
    inputs = [StdinInput(b"1\n"), StdinInput(b"2\n")]
    first = sandbox.run("print('a', input())", inputs, LIMITS)
    second = sandbox.run("print('b', input())", inputs, LIMITS)
    outputs = [next(run).stdout for run in (first, second, first, second)]
    assert outputs == [b"a 1\n", b"b 1\n", b"a 2\n", b"b 2\n"]


def kill_in(delay_s: float, launcher: int, depth: int) -> threading.Thread:
    """Each process of a slot has one child, so their order by age is that of their depth."""

    def kill() -> None:
        time.sleep(delay_s)
        os.kill([launcher, *sorted(descendants(launcher))][depth], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_each_process_of_a_slot_may_die() -> None:
    program = "import time; time.sleep(0.6); print(input())"
    with Sandbox() as sandbox:
        # launcher, zygote, supervisor, test: outermost first
        for depth in range(4):
            launcher = sandbox._started(Preload.PLAIN).process.pid
            killer = kill_in(0.3, launcher, depth)
            result = next(sandbox.run(program, [StdinInput(b"1\n")], LIMITS))
            killer.join()
            assert result.stdout == b"1\n", depth


def test_a_slot_that_never_works_is_a_sandbox_error() -> None:
    with Sandbox(python="/bin/false") as sandbox:
        result = next(sandbox.run("print(1)", [StdinInput(b"")], LIMITS))
    assert result.status is RunStatus.SANDBOX_ERROR
    assert result.stderr_tail


def test_closing_leaves_nothing() -> None:
    sandbox = Sandbox()
    results = sandbox.run("print(1)", [StdinInput(b"")] * 2, LIMITS)
    next(results)
    launcher = sandbox._started(Preload.PLAIN).process.pid
    pids = {launcher} | descendants(launcher)
    assert len(pids) >= 3
    sandbox.close()
    assert all_gone(pids)


OWNER = """
import sys
from codeprm.sandbox.preload import Preload
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, StdinInput
sandbox = Sandbox()
sys.stdout.write(f"{sandbox._started(Preload.PLAIN).process.pid}\\n")
sys.stdout.flush()
next(sandbox.run("import time; time.sleep(60)", [StdinInput(b"")], Limits(cpu_time_s=50)))
"""


def test_nothing_outlives_an_owner_that_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        launcher = int(owner.stdout.readline())
    deadline = time.monotonic() + 5
    while len(descendants(launcher)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    pids = {launcher} | descendants(launcher)
    assert len(pids) == 4
    owner.kill()
    owner.wait()
    assert all_gone(pids, within_s=1.0)
