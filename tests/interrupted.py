"""Training runs of seconds for tests that kill them: what they train on, where they are, what they
must be equal in.

Steps are a few milliseconds and checkpoints a few steps apart, so that a kill falls between two of
them, in the middle of an epoch and often of an upload.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from codeprm.prompts import docstring_prompt
from codeprm.recipes.training import generator_setup
from codeprm.records import Case, Example, Label, Problem, Solution
from codeprm.training.config import Optimization, OrmConfig, Scaling
from codeprm.training.overrides import GeneratorOverrides
from codeprm.training.prepare import WORK
from codeprm.training.uploads import prefix_of
from tests.event_files import scalars_of
from tests.rows import case_rows, problem_row, solution_row, write_directory

LIST = "checkpoint_manager_snapshot.json"
WAIT_S = 300.0
# so that a checkpoint is known of soon, and a run need not be long
ENVIRONMENT = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}

# what the flags of `jobs/train_generator.py` make of the recipe: 11 steps an epoch
FLAGS = {
    "max_length": 128, "epochs": 12.0, "effective_batch": 4, "micro_batch": 4, "held_out": 0.2,
    "checkpoint_every": 5,
}  # fmt: skip
GENERATOR = GeneratorOverrides(**FLAGS).apply(generator_setup("tiny"))  # type: ignore[arg-type]
ORM = OrmConfig(
    max_length=128,
    losses={"ce": 1.0, "listwise": 0.5},
    group_size=4,
    optimization=Optimization(learning_rate=1e-3, epochs=15.0, effective_batch=8, warmup_steps=2),
)
ORM_SCALING = Scaling(
    workers=2, gpus=0.0, cpus=1.0, threads=1, packing="prefix", tokens_per_pass=512, zero_stage=2,
    activation_checkpointing=False, checkpoint_every=5,
)  # fmt: skip


def solutions_in(folder: Path) -> str:
    """A dataset directory."""
    problems = [problem_row(f"number {number}") for number in range(20)]
    solutions = [
        solution_row(problem, f"x = {number}\nprint(x + {i})")
        for number, problem in enumerate(problems)
        for i in range(3)
    ]
    cases = [
        case
        for number, problem in enumerate(problems)
        for case in case_rows(problem.problem_id, [("", f"{number}\n")])
    ]
    return write_directory(folder, [*problems, *solutions, *cases], (Problem, Solution, Case))


def examples_in(folder: Path) -> str:
    """Examples of a label job; the last problems' are held out."""
    rows = []
    for number in range(80):
        problem = problem_row(f"number {number // 8}")
        passed = number % 2 == 0
        rows.append(
            Example(
                example_id=str(number),
                problem_id=problem.problem_id,
                prompt=docstring_prompt(problem.statement, ""),
                program=f"x = {number % 8}\nprint(x{'' if passed else ' + 1'})",
                label=Label.PASS if passed else Label.FAIL,
                weight=1.0,
                split="train" if number < 64 else "calibration",
            )
        )
    return write_directory(folder, rows, (Example,))


def listed(out: Path) -> list[int]:
    """Steps of the checkpoints that an unfinished run could go on from."""
    for file in out.glob(f"{WORK}/run-*/{LIST}"):
        try:
            return [
                each["metrics"]["step"]
                for each in json.loads(file.read_text())["checkpoint_results"]
            ]
        except (OSError, ValueError):  # it is being written, or just deleted
            continue
    return []


def wait_for(condition: Callable[[], object], *, what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {WAIT_S:.0f} s"
        time.sleep(0.01)


def harm_between_steps(out: Path, train: Callable[[], object], harm: Callable[[], object]) -> None:
    """Runs `train` to its end, and `harm` as soon as there is a checkpoint to go on from.

    The run has a thread of its own: Ray starts nodes in the main one only.
    """
    training = ThreadPoolExecutor(1).submit(train)
    wait_for(lambda: listed(out) or training.done(), what="checkpoint")
    assert not training.done(), f"the run ended before its harm: {training.exception()}"
    harm()
    training.result()


def train_workers(above: psutil.Process) -> Iterator[psutil.Process]:
    """Ray Train's workers among the descendants of a process."""
    for process in above.children(recursive=True):
        try:
            if "RayTrainWorker" in "".join(process.cmdline()[:1]):
                yield process
        except psutil.Error:  # it ended meanwhile
            continue


def folders_left(out: Path) -> list[Path]:
    """Local folders of a run's checkpoints."""
    return list(Path(tempfile.gettempdir()).glob(f"{prefix_of(f'{out}/{WORK}')}*"))


def require_equal(calm: Path, harmed: Path) -> None:
    """Every parameter and all that was told; the harmed run went on, not anew, and left nothing."""
    from safetensors.numpy import load_file

    expected, found = (load_file(out / "model.safetensors") for out in (calm, harmed))
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name].tobytes() != expected[name].tobytes()] == []
    told = [json.loads((out / "training.json").read_text()) for out in (calm, harmed)]
    for name in ("losses", "held_out", "steps"):
        assert told[0][name] == told[1][name]
    assert len(told[1]["losses"]) == told[1]["steps"]
    first, *later = map(min, series(harmed))
    assert first == 1
    assert later, "the run was not interrupted"
    assert all(start > 1 for start in later), f"the run began anew: steps {later}"
    assert not (harmed / WORK).exists()
    assert not folders_left(harmed)


def series(out: Path) -> list[dict[int, float]]:
    """The loss of each step, of each time that the run began or went on, in order."""
    found = []
    for file in (out / "tensorboard").iterdir():
        losses = {step: value for step, tag, value in scalars_of(file) if tag == "loss"}
        # the name begins with the time in seconds
        found.append((file.name, losses))
    return [losses for _, losses in sorted(found) if losses]
