"""Sampled pass@1: how many held-out problems a generator in training solves, one completion each.

    held-out problems with tests -> completions (all ranks) -> the judge, beside training -> pass@1

The problems are those of a draw by their hashes, the same at every look, whoever else is there. A
completion's draws follow from the seed, the problem and the step, so a run that resumes tells the
same numbers. Ranks complete and training goes on: the programs of a look are judged while the next
steps are taken, and what came of them is asked for at the next look, or at the end. Until then they
are part of what a checkpoint carries (`History.unjudged`).

As in `execute`, a program is right when it passes all tests. Verdicts that are no labels (a fault
of the sandbox, a time limit that two runs do not agree on) are left out of the share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from codeprm.encoding import encode_texts
from codeprm.errors import ConfigError, DataError
from codeprm.prompts import docstring_prompt, prompt_style
from codeprm.records import Label, Problem, Trust, content_hash
from codeprm.tables import Directory
from codeprm.training.batches import LOOK_ROWS, passes_of, turns_of
from codeprm.training.config import GeneratorConfig
from codeprm.training.decoding import Drawing, Prompt, complete
from codeprm.training.rows import is_held_out
from codeprm.training.sample_options import SampleOptions
from codeprm.training.tokenizer import end_of_text_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PASS_AT_1 = "held_out/pass@1"
PASS_AT_1_SE = "held_out/pass@1_se"
PASS_AT_1_PROBLEMS = "held_out/pass@1_problems"
# How long a rank waits for the judge before it lets the others know that it still does: collectives
# give up after half an hour.
WAIT_S = 60.0

Programs = Mapping[str, str]
"""Of a look: by problem id."""


class SampledProblems(NamedTuple):
    """What is completed at each look and how, and the dataset directory with the tests."""

    data: str
    problems: tuple[Problem, ...]
    options: SampleOptions


class Judging(Protocol):
    """Runs programs on their problems' tests, somewhere else."""

    def begin(self, step: int, programs: Programs) -> None:
        """Start on a look's programs, and return at once."""

    def labels(self, step: int, programs: Programs, wait_s: float) -> list[Label] | None:
        """Of a look's programs, those that were judged; None if that takes longer than `wait_s`.

        Begins what was not begun: a run that resumed has programs of before.
        """


def require_held_out(options: SampleOptions, config: GeneratorConfig) -> None:
    """Refuses to sample where nothing is held out."""
    if options.sample_problems and not config.held_out:
        raise ConfigError(
            "sample_problems takes problems that are held out, and none are: set held_out, for "
            "example to 0.05, or sample_problems to 0"
        )


def draw_problems(data: Directory, config: GeneratorConfig, n: int) -> tuple[Problem, ...]:
    """At most `n` held-out problems whose tests decide both ways; a user error where none is."""
    columns = ("problem_id", "n_cases", "trust")
    rows = data.read_table(Problem, columns=columns).to_pylist()
    held_out = [row for row in rows if is_held_out(row["problem_id"], config)]
    usable = [
        row["problem_id"] for row in held_out if row["n_cases"] and row["trust"] == Trust.BOTH
    ]
    if not held_out:
        raise DataError(
            f"none of the {len(rows)} problems of {data.uri} is held out, so none can be sampled: "
            "raise held_out, or set sample_problems to 0"
        )
    if not usable:
        raise DataError(
            f"none of the {len(held_out)} held-out problems of {data.uri} has tests whose verdicts "
            "are trusted, so none can be sampled: give a dataset with tests, or set "
            "sample_problems to 0"
        )
    chosen = set(nsmallest(n, usable, key=lambda problem_id: content_hash("sampled", problem_id)))
    found = {p.problem_id: p for p in data.read_records(Problem) if p.problem_id in chosen}
    return tuple(found[problem_id] for problem_id in sorted(chosen))


def require_tests(data: str, problems: Sequence[Problem], with_tests: Sequence[str]) -> None:
    """Refuses problems whose tests are told of but not there."""
    missing = sorted({problem.problem_id for problem in problems} - set(with_tests))
    if missing:
        raise DataError(
            f"{len(missing)} of {len(problems)} held-out problems to sample have no tests in "
            f"{data} (the first is {missing[0]}): prepare the dataset again, or set "
            "sample_problems to 0"
        )


def pass_numbers(labels: Sequence[Label]) -> dict[str, float]:
    """Share that passes, its standard error (of two or more) and of how many; empty of none."""
    known = [label is Label.PASS for label in labels if label is not Label.UNKNOWN]
    n = len(known)
    if not n:
        return {}
    share = sum(known) / n
    error = {PASS_AT_1_SE: math.sqrt(share * (1 - share) / (n - 1))} if n > 1 else {}
    return {PASS_AT_1: share, **error, PASS_AT_1_PROBLEMS: n}


def sampled_of(look: Mapping[str, float]) -> dict[str, float]:
    """What a run's summary tells of its last look: the numbers of `pass_numbers`, shortly named."""
    names = (PASS_AT_1, PASS_AT_1_SE, PASS_AT_1_PROBLEMS)
    return {name.removeprefix("held_out/"): look[name] for name in names if name in look}


def prompts_of(
    problems: Sequence[Problem], tokenizer: Tokenizer, *, max_length: int, n_new: int, seed: str
) -> list[Prompt]:
    """One a problem, with as many new tokens as fit `max_length` with it, none for a long one."""
    texts = [docstring_prompt(problem.statement, problem.starter_code) for problem in problems]
    return [
        Prompt(ids, max(0, min(n_new, max_length - len(ids))), f"{seed}:{problem.problem_id}")
        for problem, ids in zip(problems, encode_texts(tokenizer, texts), strict=True)
    ]


class Turn(NamedTuple):
    """Problems that a rank completes at once; in some the others of the last turn have no own."""

    problems: list[int]
    is_own: bool


def turns(prompts: Sequence[Prompt], rank: int, workers: int) -> Iterator[Turn]:
    """As many on each rank; problems whose prompt leaves no room are in none."""
    lengths = np.array([len(prompt.ids) + prompt.n_new for prompt in prompts], dtype=np.int64)
    rows = np.flatnonzero([prompt.n_new > 0 for prompt in prompts])
    most_rows = min(LOOK_ROWS, math.ceil(len(rows) / workers))
    passes = passes_of(rows, lengths, most_rows=most_rows)
    for index, is_own in turns_of(len(passes), rank, workers):
        yield Turn(passes[index].tolist(), is_own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """One rank's part in completing and judging; every rank must call its methods."""

    sampled: SampledProblems
    config: GeneratorConfig
    tokenizer: Tokenizer
    judging: Judging | None
    """On rank 0."""

    def programs(self, engine: Any, model: Any, step: int) -> dict[str, str]:
        """What the model, after so many steps, answers each problem with; equal on all ranks."""
        import torch.distributed as dist

        _, problems, options = self.sampled
        end_id = end_of_text_id(self.tokenizer)
        drawing = Drawing(options.sample_temperature, options.sample_top_p, end_id)
        prompts = prompts_of(
            problems,
            self.tokenizer,
            max_length=self.config.max_length,
            n_new=options.sample_tokens,
            seed=f"{self.config.optimization.seed}:{step}",
        )
        own: dict[str, str] = {}
        for turn in turns(prompts, dist.get_rank(), dist.get_world_size()):
            asked = [prompts[index] for index in turn.problems]
            found = complete(engine, model, asked, drawing, all_done=_all_ranks(engine.device))
            if turn.is_own:
                for index, ids in zip(turn.problems, found, strict=True):
                    own[problems[index].problem_id] = self._program(problems[index], ids)
        gathered: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(gathered, own)
        told = {name: program for each in gathered for name, program in each.items()}
        return {p.problem_id: told.get(p.problem_id, "") for p in problems}

    def begin(self, step: int, programs: Programs) -> None:
        """Let them be judged while training goes on."""
        if self.judging is not None:
            self.judging.begin(step, programs)

    def numbers(self, step: int, programs: Programs) -> dict[str, float]:
        """Of a look's programs, once they are judged; empty where they could not be."""
        import torch.distributed as dist

        while True:
            found: list[dict[str, float] | None] = [None] * dist.get_world_size()
            own: dict[str, float] | None = None
            if self.judging is not None:
                labels = self.judging.labels(step, programs, WAIT_S)
                own = None if labels is None else pass_numbers(labels)
            dist.all_gather_object(found, own)
            if found[0] is not None:
                return found[0]

    def _program(self, problem: Problem, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(ids))
        return prompt_style("docstring").extract(text, problem.starter_code)


def _all_ranks(device: Any) -> Any:
    """Whether all ranks are done, given whether this one is."""
    import torch
    import torch.distributed as dist

    def all_done(is_done: bool) -> bool:
        n_left = torch.tensor(int(not is_done), device=device)
        dist.all_reduce(n_left)
        return not int(n_left)

    return all_done
