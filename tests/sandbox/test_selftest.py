"""The self-test says what holds, and its exit code whether promises are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codeprm.errors import ConfigError, SandboxError
from codeprm.sandbox import selftest
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, StdinInput
from tests.sandbox import outer

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "codeprm.sandbox.selftest"]


def told(*command: str) -> tuple[int, str]:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout


def test_every_promise_holds_here_and_one_line_says_so() -> None:
    code, said = told(*COMMAND, "--json", "--floor", "F3")
    assert code == 0
    (line,) = said.splitlines()
    found = json.loads(line)
    assert found["sound"] is True
    assert Level(found["level"].split("+")[0]) in Level
    promised = [canary for canary in found["canaries"] if canary["promised"]]
    assert promised
    assert all(canary["held"] for canary in promised)


def test_a_table_for_people() -> None:
    code, said = told(*COMMAND, "--floor", "F3")
    assert code == 0
    assert said.startswith("level F")
    assert "every promise of this level holds" in said


def test_below_the_floor_it_is_a_sentence_and_exit_code_2() -> None:
    weak = [sys.executable, "-m", "tests.sandbox.outer", "--level", "F2", "--"]
    code, said = told(*weak, *COMMAND, "--floor", "F1")
    if code == outer.CANNOT:
        pytest.skip("this machine cannot be made weaker")
    assert code == 2
    assert said.startswith("error: this machine holds untrusted programs only at level F2")
    assert len(said.splitlines()) == 1


def test_nothing_runs_below_the_floor() -> None:
    with Sandbox(without={"seccomp"}, floor=Level.F2) as sandbox:
        results = sandbox.run("print(1)", [StdinInput(b"")], Limits(cpu_time_s=1))
        with pytest.raises(ConfigError, match="--sandbox-floor"):
            next(results)


def test_a_broken_promise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(floor=Level.F3) as sandbox:
        selftest.require_sound(sandbox)
        harmless = selftest.Canary("add numbers", "none", Level.F3, "print(1 + 1)")
        monkeypatch.setattr(selftest, "CANARIES", (*selftest.CANARIES, harmless))
        with pytest.raises(SandboxError, match="a program could add numbers"):
            selftest.require_sound(sandbox)
