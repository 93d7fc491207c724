"""Records -> rows of token ids: what is learnt from, and what is left out and why.

    Problem + Solution -> generator rows     prompt | program + end-of-text id
    Example            -> reward rows        prompt (its middle cut to fit) | program

A row that does not fit or is not chosen becomes a `Rejected` record, never a shortened program.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from codeprm.encoding import Encoded, encode_texts, ended, fit_length
from codeprm.prompts import docstring_prompt
from codeprm.records import Example, Label, Problem, Rejected, Solution, draw_of
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.solutions import choose_solutions
from codeprm.training.targets import TargetOptions, target_of, weight_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK_ROWS = 2048
EXCERPT_CHARS = 300
LABELS_ALONE = TargetOptions()


class Row(NamedTuple):
    """Something to train on, before it is tokenised."""

    row_id: str
    problem_id: str
    prompt: str
    program: str
    passed: bool = True
    weight: float = 1.0
    held_out: bool = False
    target: float | None = None


def generator_rows(
    problems: Iterable[Problem], solutions: Iterable[Solution], config: GeneratorConfig
) -> Iterator[Row | Rejected]:
    """Solutions of the problems of one part; those that are not chosen, with the reason."""
    of_problem: dict[str, list[Solution]] = defaultdict(list)
    for solution in solutions:
        of_problem[solution.problem_id].append(solution)
    for problem in problems:
        prompt = docstring_prompt(problem.statement, problem.starter_code)
        used, unused = choose_solutions(of_problem[problem.problem_id], config)
        held_out = is_held_out(problem.problem_id, config)
        for own in used:
            name = own.solution_id
            yield Row(name, problem.problem_id, prompt, own.program, held_out=held_out)
        for own, reason, detail in unused:
            # no excerpt: these may be most solutions, and stand in the dataset
            yield _rejected(Row(own.solution_id, problem.problem_id, "", ""), reason, detail)


def is_held_out(problem_id: str, config: GeneratorConfig) -> bool:
    """Whether a problem is among the share that is not learnt from, whatever else is there."""
    return draw_of("held_out", str(config.optimization.seed), problem_id) < config.held_out


def reward_rows(
    examples: Iterable[Example], options: TargetOptions = LABELS_ALONE
) -> Iterator[Row]:
    """Judged programs; unknown labels are never trained on."""
    for example in examples:
        if example.label is not Label.UNKNOWN:
            yield Row(
                example.example_id,
                example.problem_id,
                example.prompt,
                example.program,
                passed=example.label is Label.PASS,
                weight=weight_of(example, options),
                held_out=example.split == "calibration",
                target=target_of(example, options),
            )


def encode_generator(
    rows: Iterable[Row | Rejected], tokenizer: Tokenizer, config: GeneratorConfig, *, end_id: int
) -> Iterator[tuple[Row, Encoded] | Rejected]:
    """Prompt and program with one end-of-text id behind; too long is rejected."""
    for item in _encoded(rows, tokenizer):
        if isinstance(item, Rejected):
            yield item
            continue
        row, encoded = item
        complete = ended(encoded, end_id)
        if len(complete.ids) <= config.max_length:
            yield row, complete
        else:
            yield _too_long(row, len(complete.ids), config.max_length)


def encode_reward(
    rows: Iterable[Row | Rejected], tokenizer: Tokenizer, config: OrmConfig
) -> Iterator[tuple[Row, Encoded] | Rejected]:
    """Prompt and program; a long prompt loses its middle, a long or empty program is rejected."""
    for item in _encoded(rows, tokenizer):
        if isinstance(item, Rejected):
            yield item
            continue
        row, encoded = item
        fitted = fit_length(encoded, config.max_length)
        if not row.program.strip() or not encoded.program_ids:
            yield _rejected(row, "no_program", "the program is empty")
        elif fitted is None:
            yield _too_long(row, len(encoded.ids), config.max_length)
        else:
            yield row, ended(fitted, None)


def _encoded(
    rows: Iterable[Row | Rejected], tokenizer: Tokenizer
) -> Iterator[tuple[Row, Encoded] | Rejected]:
    iterator = iter(rows)
    while items := list(islice(iterator, CHUNK_ROWS)):
        yield from (item for item in items if isinstance(item, Rejected))
        chunk = [item for item in items if isinstance(item, Row)]
        prompts = list(dict.fromkeys(row.prompt for row in chunk))
        prompt_ids = dict(zip(prompts, encode_texts(tokenizer, prompts), strict=True))
        programs = encode_texts(tokenizer, [row.program for row in chunk])
        for row, program_ids in zip(chunk, programs, strict=True):
            yield row, Encoded(prompt_ids[row.prompt], program_ids)


def _too_long(row: Row, length: int, max_length: int) -> Rejected:
    return _rejected(row, "too_long", f"{length} tokens, at most {max_length}")


def _rejected(row: Row, reason: str, detail: str) -> Rejected:
    return Rejected(
        row_id=row.row_id,
        problem_id=row.problem_id,
        reason=reason,
        detail=detail,
        excerpt=row.program[:EXCERPT_CHARS],
    )
