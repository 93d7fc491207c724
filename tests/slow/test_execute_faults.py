"""Zygotes, actors and a node die at random while programs are graded: no label changes.

Two nodes of Ray on this machine, a worker on each. While `execute` runs, processes of the slots are
killed once or twice a part, workers now and then, the second node with all that is on it three
times; all drawn from one seed. Verdicts are known by construction. `CODEPRM_FAULT_EXECUTIONS` is
for a quick look: the full number takes some minutes. A JSON line tells what was killed how often.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from codeprm.distributed.run import run_stage
from codeprm.records import Label, Outcome, Rejected, Verdict
from codeprm.steps.base import Stage, Workers
from codeprm.steps.execute import ExecuteConfig, execute_stage
from codeprm.tables import Directory
from tests.slow.faulty_programs import prepare, write_completions
from tests.slow.process_tree import Watch, kill, kill_below, process_table

# Ray warns of its own settings
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

EXECUTIONS = int(os.environ.get("CODEPRM_FAULT_EXECUTIONS", "20000"))
SEED = 0
MAX_CASES = 4
# A slot's processes may live so long after their worker.
ORPHAN_S = 1.0
# Kills keep step with the work: on a slow machine they must not come faster than slots can start.
SANDBOX_KILL_EVERY_S = 0.5
SANDBOX_KILLS_PER_PART = 2
PARTS_PER_WORKER_KILL = 16
# Each started by the one before, the first by the worker.
SLOT = ("launcher", "zygote", "supervisor", "test")
TRIES = 400
# Of executions, to meet each of them.
ENOUGH = 5000
NODE_KILLS_AT = (0.2, 0.5, 0.8)
# A run that is killed four times is given up, as `sandbox_error`: no label, and rare.
MAX_UNKNOWN_SHARE = 0.01
NODE = {"num_cpus": 1, "object_store_memory": 128 << 20}


@dataclass
class Killer:
    """Kills while `running`; `killed` counts by what it was."""

    cluster: Cluster
    watch: Watch
    out: Path
    n_parts: int
    rng: random.Random
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, running: Future[Any]) -> None:
        n_workers = max(2, self.n_parts // PARTS_PER_WORKER_KILL)
        workers_at = sorted(self.rng.uniform(0.05, 0.9) for _ in range(n_workers))
        nodes_at = list(NODE_KILLS_AT)
        while not wait([running], self.rng.expovariate(1 / SANDBOX_KILL_EVERY_S)).done:
            parts = len(list((self.out / "commits").glob("*.json")))
            done = parts / self.n_parts
            if workers_at and done >= workers_at[0]:
                workers_at.pop(0)
                self._kill_worker()
            elif nodes_at and done >= nodes_at[0]:
                nodes_at.pop(0)
                self._kill_node()
            elif self.n_sandboxed < SANDBOX_KILLS_PER_PART * (parts + 1):
                self._kill_sandboxed()

    @property
    def n_sandboxed(self) -> int:
        """Killed processes of slots."""
        return self.killed.total() - self.killed["node"] - self.killed["worker"]

    def _kill_sandboxed(self) -> None:
        """A process of a slot, each kind as likely as any other."""
        owners = sorted({sandboxed.owner for sandboxed in self.watch.latest})
        if not owners:
            return
        number = self.rng.randrange(len(SLOT))
        for _ in range(TRIES):
            if kill_below(self.rng.choice(owners), 1 + number, self.rng):
                self.killed[SLOT[number]] += 1
                return

    def _kill_worker(self) -> None:
        owners = sorted({sandboxed.owner for sandboxed in self.watch.latest})
        if owners:
            self.killed["worker"] += kill(self.rng.choice(owners))

    def _kill_node(self) -> None:
        """The second node at once: its raylet and every worker there; then another one comes."""
        node = next(iter(self.cluster.worker_nodes))
        raylet = node.all_processes["raylet"][0].process.pid
        table = process_table()
        own = [entry.process for entry in table.values() if entry.parent == raylet]
        for process in (table[raylet].process, *own):
            kill(process)
        self.cluster.remove_node(node, allow_graceful=False)
        self.killed["node"] += 1
        # Elsewhere the next node would not start on the cores of those that are to end now.
        time.sleep(2 * ORPHAN_S)
        self.cluster.add_node(**NODE)


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def watching() -> Iterator[Watch]:
    """Looks on until a slot that outlives its worker is late."""
    watch = Watch()
    thread = threading.Thread(target=watch.run, args=(ORPHAN_S,))
    thread.start()
    try:
        yield watch
    finally:
        time.sleep(1.5 * ORPHAN_S)
        watch.stop()
        thread.join()


def run_disturbed(stage: Stage, n_parts: int) -> tuple[Killer, Watch]:
    """The stage runs in a thread: Ray starts its nodes in the main one only."""
    with watching() as watch, two_nodes() as cluster, ThreadPoolExecutor(1) as pool:
        killer = Killer(cluster, watch, Path(stage.out), n_parts, random.Random(SEED))
        running = pool.submit(run_stage, stage)
        killer.run(running)
        running.result()
    return killer, watch


def test_no_label_changes_whatever_dies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = prepare(tmp_path / "data", executions=EXECUTIONS)
    completions = tmp_path / "completions"
    expected = write_completions(data, completions, executions=EXECUTIONS, seed=SEED)
    stage = execute_stage(
        ExecuteConfig(max_cases=MAX_CASES),
        data=data,
        completions=str(completions),
        out=str(tmp_path / "verdicts"),
        workers=Workers(max_workers=2, min_workers=2),
    )
    started = time.monotonic()
    killer, watch = run_disturbed(stage, len(Directory(str(completions)).committed()))
    found = comparison(expected, Directory(stage.out))
    summary = {
        "executions": EXECUTIONS,
        "seconds": round(time.monotonic() - started, 1),
        "killed": dict(sorted(killer.killed.items())),
        "workers_gone": watch.owners_gone,
        "longest_orphan_s": round(watch.longest_s, 2),
        "late_orphans": watch.late,
        **found,
    }
    with capsys.disabled():
        os.write(1, f"\n{json.dumps(summary)}\n".encode())
    assert found["lost"] == found["doubled"] == found["rejected"] == 0
    assert not found["changed"]
    assert sum(found["unknown"].values()) <= MAX_UNKNOWN_SHARE * EXECUTIONS
    assert not watch.late
    assert not watch.remaining
    assert killer.killed["node"] == len(NODE_KILLS_AT)
    assert killer.killed["worker"]
    assert EXECUTIONS < ENOUGH or all(killer.killed[name] for name in SLOT)


def comparison(expected: Mapping[str, Outcome], out: Directory) -> dict[str, Any]:
    """Every verdict against what it must be; an unknown label is counted by its outcome."""
    rows = list(out.read_records(Verdict))
    ids = Counter(row.completion_id for row in rows)
    unknown = Counter(
        f"{row.outcome} of {expected[str(row.completion_id)]}"
        for row in rows
        if row.label is Label.UNKNOWN
    )
    changed = [
        f"{row.completion_id}: {row.outcome} for {expected[str(row.completion_id)]} "
        f"({row.cases_passed} of {row.cases_run} tests, {row.detail})"
        for row in rows
        if row.label is not Label.UNKNOWN and not is_right(row, expected[str(row.completion_id)])
    ]
    return {
        "outcomes": dict(Counter(row.outcome.value for row in rows)),
        "unknown": dict(unknown),
        "changed": changed[:20],
        "n_changed": len(changed),
        "lost": len(expected.keys() - ids.keys()),
        "doubled": sum(count - 1 for count in ids.values()),
        "rejected": sum(1 for _ in out.read_records(Rejected)),
    }


def is_right(row: Verdict, expected: Outcome) -> bool:
    """Outcome, and the tests that lead to it: wrong programs fail their first one."""
    if expected is Outcome.PASSED:
        return row.outcome is Outcome.PASSED and row.cases_passed == row.cases_run == MAX_CASES
    return row.outcome is expected and (row.cases_passed, row.cases_run) == (0, 1)
