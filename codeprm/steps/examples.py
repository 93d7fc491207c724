"""What one problem's completions and mutations give: examples, and a reason for all others.

    completions + verdicts -> classes -> balance, draw -> examples with target facts and weights

Nothing here reads a table. Every random choice follows from the seed and the problem.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from codeprm.errors import ConfigError
from codeprm.judge.verdict import trusted
from codeprm.prompts import docstring_prompt
from codeprm.reasoning import strip_comments
from codeprm.records import (
    Example,
    Label,
    Outcome,
    Problem,
    Rejected,
    content_hash,
    draw_of,
    solution_id_of,
)
from codeprm.steps.draw import Balance, balance, order_failing, passed_share, shuffled_mutations
from codeprm.steps.example_weights import WEIGHTS, Weighting
from codeprm.steps.labelled import (
    Candidate,
    Classes,
    Labelled,
    Same,
    classes_of,
    drop,
    key_of,
)
from codeprm.steps.run import rejected

TRAIN, CALIBRATION = "train", "calibration"


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """What decides which programs become examples."""

    cap: int = 50
    """At most so many programs of each class a problem."""
    max_ratio: float = 1.0
    """At most so many programs of the larger class for each of the smaller one, in a problem."""
    calibration_fraction: float = 0.1
    """Share of the problems that is held out to calibrate the reward model."""
    same: Same = "text"
    """Which programs count once: of the same text, or also those that differ in comments, layout
    and their own names only (syntax)."""
    near_duplicates: float = 0.0
    """Of programs of one class whose runs of tokens overlap at least so much (0 to 1), keep the
    first; 0 keeps all."""
    strip_comments: bool = False
    """Examples without comments; then score programs without them too."""
    hard_share: float = 0.0
    """Share of a problem's failing examples that are the hardest ones, not drawn by chance."""
    mutation_share: float = 0.3
    """Most mutations among a problem's failing examples, as a share; 1 for no limit."""
    weighting: Weighting = "example"
    """What counts alike: each example, each problem, or problems by their pass rate."""
    suite_strength: bool = False
    """Weigh passing examples by the share of wrong programs that the tests fail; needs what the
    verify job counts with --mutants."""
    seed: int = 0
    """Decides the draw and the held-out problems."""

    def __post_init__(self) -> None:
        if self.cap < 1 or not self.max_ratio >= 1:
            raise ConfigError("cap and max_ratio must be at least 1")
        shares = (self.near_duplicates, self.hard_share, self.mutation_share)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("near_duplicates, hard_share and mutation_share lie between 0 and 1")


def label_problem(
    problem: Problem,
    rows: Iterable[Labelled],
    config: LabelConfig,
    *,
    mutations: Sequence[Example] = (),
    strength: float = 1.0,
) -> Iterator[Example | Rejected]:
    """Examples of one problem, and every completion and mutation that gives none."""
    classes = classes_of(
        rows,
        problem.trust,
        same=config.same,
        strip=config.strip_comments,
        near=config.near_duplicates,
    )
    broken = list(_usable(problem, mutations, classes, config)) if mutations else []
    numbers = balance(
        len(classes.passing),
        len(classes.failing),
        len(broken),
        cap=config.cap,
        max_ratio=config.max_ratio,
        mutation_share=config.mutation_share,
    )
    yield from classes.dropped
    if numbers.passing:
        yield from _drawn(problem, classes, broken, numbers, config, strength)
        return
    passing, failing = classes.passing, classes.failing
    detail = f"{len(passing)} programs pass, {len(failing)} fail, trust {problem.trust}"
    yield from (drop(row, "one_class", detail) for row in (*passing, *failing))
    yield from (_not_mixed(own, "one_class", detail) for own in broken)


def split_of(problem_id: str, config: LabelConfig) -> str:
    """The problem's split, whatever else is in the table."""
    draw = draw_of("calibration", str(config.seed), problem_id)
    return CALIBRATION if draw < config.calibration_fraction else TRAIN


def _usable(
    problem: Problem,
    mutations: Iterable[Example],
    classes: Classes,
    config: LabelConfig,
) -> Iterator[Example]:
    """Mutations that are no program that a model wrote, and whose verdict is still believed.

    The others are added to what is dropped.
    """
    dropped = classes.dropped
    taken = {key_of(own.program, config.same) for own in (*classes.passing, *classes.failing)}
    held_out = split_of(problem.problem_id, config) == CALIBRATION
    for own in mutations:
        program = strip_comments(own.program) if config.strip_comments else own.program
        outcome, key = Outcome(own.outcome), key_of(program, config.same)
        if held_out:
            dropped.append(_not_mixed(own, "not_drawn", "its problem is held out"))
        elif trusted(outcome, problem.trust) is not outcome:
            detail = f"{outcome}, but trust {problem.trust}"
            dropped.append(_not_mixed(own, "unknown_label", detail))
        elif key in taken:
            dropped.append(_not_mixed(own, "duplicate_program", "a mutation"))
        else:
            taken.add(key)
            row_id = solution_id_of(problem.problem_id, program)
            yield replace(own, program=program, example_id=row_id)


def _drawn(
    problem: Problem,
    classes: Classes,
    broken: Sequence[Example],
    numbers: Balance,
    config: LabelConfig,
    strength: float,
) -> Iterator[Example | Rejected]:
    rng = random.Random(content_hash("label", str(config.seed), problem.problem_id))
    passing = classes.passing
    rng.shuffle(passing)
    failing = order_failing(
        problem,
        classes.failing,
        passing,
        size=numbers.failing,
        hard_share=config.hard_share,
        rng=rng,
    )
    broken = shuffled_mutations(broken, rng)
    weight = WEIGHTS[config.weighting](sum(numbers), classes.pass_rate)
    for own, size in ((passing, numbers.passing), (failing, numbers.failing)):
        detail = f"{size} of {len(own)}"
        yield from (drop(row, "not_drawn", detail) for row in own[size:])
        for row in own[:size]:
            scale = strength if row.verdict.label is Label.PASS else 1.0
            yield _example(problem, row, config, weight=weight * scale)
    detail = f"{numbers.mutations} of {len(broken)} mutations"
    yield from (_not_mixed(own, "not_drawn", detail) for own in broken[numbers.mutations :])
    for mutation in broken[: numbers.mutations]:
        yield replace(mutation, weight=weight, split=TRAIN)


def _example(problem: Problem, row: Candidate, config: LabelConfig, *, weight: float) -> Example:
    return Example(
        example_id=solution_id_of(problem.problem_id, row.program),
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, problem.starter_code),
        program=row.program,
        label=row.verdict.label,
        weight=weight,
        split=split_of(problem.problem_id, config),
        outcome=row.verdict.outcome,
        passed_share=passed_share(problem, row.verdict),
        model=row.completion.model,
    )


def _not_mixed(example: Example, reason: str, detail: str) -> Rejected:
    return rejected(example.example_id, example.problem_id, reason, detail, "")
