"""The attack catalogue at every level, as root and as an ordinary user: one test a row and pass.

Each pass is one run of `runner` in a weaker machine made by `outer`. All of them run at the first
test that asks, two at a time, and then alone the rows that measure; a test looks at its row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codeprm.sandbox.levels import Level
from tests.sandbox import outer
from tests.sandbox.catalogue import document
from tests.sandbox.catalogue.alone import ALONE, rows_of
from tests.sandbox.catalogue.arena import CANARY, CANARY_VARIABLE
from tests.sandbox.catalogue.row import GROUPS, LAST, LAYERS, LEVELS, PASSED, Row
from tests.sandbox.catalogue.runner import chosen
from tests.sandbox.catalogue.table import BY_ID, ROWS

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[3]
PASS_TIMEOUT_S = 400
NOBODY = 65534
# An ordinary user differs in what namespaces and files are to him.
USERS_ROWS = "D,E,F,1,2,39,40,42,44,109"


class Pass(NamedTuple):
    """One run of the runner."""

    level: Level
    user: int | None = None
    rows: str = ""
    quiet: bool = False
    only: str = ""

    @property
    def name(self) -> str:
        who = "" if self.user is None else "-user"
        only = f"-only-{self.only}" if self.only else ""
        return f"{self.level}{who}{only}{'-quiet' if self.quiet else ''}"

    @property
    def table(self) -> list[Row]:
        return rows_of(self.only) if self.only else chosen(self.rows, self.quiet)

    @property
    def judged_at(self) -> Level:
        """A filter of system calls alone is what F2 has."""
        return Level.F2 if self.only == "seccomp" else self.level


class Told(NamedTuple):
    """What a run said: a line a row, the level of its slot, why it did not run."""

    rows: dict[str, dict[str, Any]]
    level: str
    skipped: str
    error: str


PASSES = (
    *(Pass(level) for level in LEVELS),
    *(Pass(level, NOBODY, USERS_ROWS) for level in LEVELS),
)
# The self-test rule: each layer is seen to hold without the others.
LAYERS_ALONE = tuple(Pass(Level.F0, only=layer) for layer in ALONE)
# A clock is the same at every level.
MEASURING = Pass(Level.F0, quiet=True)


@cache
def told_by_all() -> dict[Pass, Told]:
    together = (*PASSES, *LAYERS_ALONE)
    with ThreadPoolExecutor(2) as pool:
        told = dict(zip(together, pool.map(run_pass, together), strict=True))
    return {**told, MEASURING: run_pass(MEASURING)}


def run_pass(chosen_pass: Pass) -> Told:
    command = [*outside_of(chosen_pass), *runner(), "--level", chosen_pass.level]
    command += ["--rows", chosen_pass.rows] if chosen_pass.rows else []
    command += ["--only", chosen_pass.only] if chosen_pass.only else []
    command += ["--quiet" if chosen_pass.quiet else "--no-quiet"]
    ended = run(command)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    rows = {line["row"]: line for line in lines if "row" in line}
    level = next((line["level"] for line in lines if "level" in line), "")
    reason = ended.stderr.strip()
    if ended.returncode == outer.CANNOT:
        return Told({}, "", reason, "")
    return Told(rows, level, "", f"exit code {ended.returncode}: {reason[-500:]}")


def outside_of(chosen_pass: Pass) -> list[str]:
    command = [sys.executable, "-m", "tests.sandbox.outer", "--level", chosen_pass.level]
    command += ["--readable"] if chosen_pass.user is None else ["--user", str(chosen_pass.user)]
    return [*command, "--"]


def runner() -> list[str]:
    return [sys.executable, "-m", "tests.sandbox.catalogue.runner"]


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # In the environment from the first, so that it stands in /proc/PID/environ.
    environment = {**os.environ, CANARY_VARIABLE: "".join(CANARY), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=PASS_TIMEOUT_S, check=False,
    )  # fmt: skip


def told_by(chosen_pass: Pass) -> Told:
    if chosen_pass.only == "uid" and os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    told = told_by_all()[chosen_pass]
    if told.skipped:
        pytest.skip(told.skipped)
    return told


@pytest.mark.parametrize(
    ("chosen_pass", "row"),
    [
        pytest.param(one, row, id=f"{one.name}-{row.id}")
        for one in (*PASSES, *LAYERS_ALONE, MEASURING)
        for row in one.table
    ],
)
def test_row(chosen_pass: Pass, row: Row) -> None:
    told = told_by(chosen_pass)
    line = told.rows.get(row.id)
    assert line is not None, f"the runner did not come so far: {told.error}"
    if "skipped" in line:
        pytest.skip(line["skipped"])
    assert "outcome" in line, f"the runner ended in this row: {told.error}"
    detail = line["detail"]
    expected = row.expected[chosen_pass.judged_at]
    if row.same_user_at_f2 and chosen_pass.judged_at is Level.F2 and chosen_pass.user is not None:
        expected = frozenset({row.same_user_at_f2})
    assert line["outcome"] in {outcome.value for outcome in expected}, detail
    assert not line["problems"], detail


@pytest.mark.parametrize("chosen_pass", PASSES, ids=lambda chosen_pass: chosen_pass.name)
def test_the_level_is_reached(chosen_pass: Pass) -> None:
    told = told_by(chosen_pass)
    assert told.level.split("+")[0] == chosen_pass.level, told.error


NAMES = {"namespaces": "+mnt", "landlock": "+landlock", "seccomp": "+seccomp", "uid": "+uid"}


@pytest.mark.parametrize("chosen_pass", LAYERS_ALONE, ids=lambda chosen_pass: chosen_pass.only)
def test_a_layer_is_alone(chosen_pass: Pass) -> None:
    told = told_by(chosen_pass)
    held = {layer for layer, name in NAMES.items() if name in told.level}
    assert held == {chosen_pass.only}, told.level


@cache
def told_outside() -> dict[str, dict[str, Any]]:
    ended = run([*outside_of(Pass(Level.F0)), *runner(), "--outside"])
    if ended.returncode == outer.CANNOT:
        pytest.skip(ended.stderr.strip())
    return {line["row"]: line for line in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.parametrize("name", [row.id for row in ROWS if row.works_outside])
def test_an_attack_works_where_there_is_no_sandbox(name: str) -> None:
    line = told_outside()[name]
    assert line["code"] == 0
    if BY_ID[name].expected == PASSED:
        assert line["output"].split() != line["expected"].split()


def test_the_catalogue_is_whole() -> None:
    assert len(BY_ID) == len(ROWS)
    assert {row.number for row in ROWS} == set(range(1, LAST + 1))
    assert {row.group for row in ROWS} == set(GROUPS)
    for row in ROWS:
        assert row.layers <= LAYERS, row.id
        assert row.layers, row.id
        assert set(row.expected) == set(LEVELS), row.id
        assert bool(row.program) != bool(row.check), row.id


def test_the_page_shows_the_table() -> None:
    page = document.PAGE.read_text()
    assert page == document.page_with(page, document.tables()), (
        "python -m tests.sandbox.catalogue.document"
    )
