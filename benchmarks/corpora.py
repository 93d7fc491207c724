"""What the training benchmarks learn from: problems with many programs each, tokenised.

    mini-TACO ("")   a problem's own solutions, and solutions of other problems of its form
    DIR              real programs that others judged, as in `programs`

The tokenizer is a byte-level BPE trained on the very texts, as a model's own is on such texts.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.programs import Program, attempts, mini_programs
from codeprm.encoding import Encoded
from codeprm.errors import ConfigError
from codeprm.prompts import docstring_prompt
from codeprm.records import Rejected
from codeprm.training.config import GeneratorConfig, OrmConfig, Shape
from codeprm.training.corpus import Corpus, require_rows, token_type
from codeprm.training.models import starcoder2_config
from codeprm.training.rows import Row, encode_generator, encode_reward
from codeprm.training.token_files import corpus_of, token_row
from codeprm.training.tokenizer import end_of_text_id, train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCAB_SIZE = 4096
# Of `train_tokenizer`.
END_ID = 0
MINI_PROGRAMS = 4000
# Of a StarCoder2 wide enough that its layers cost what wide ones cost.
WIDE = Shape(
    vocab_size=VOCAB_SIZE, hidden_size=512, layers=2, heads=8, kv_heads=2,
    intermediate_size=2048, max_positions=4096,
)  # fmt: skip


def wide(hidden: int, layers: int) -> Shape:
    """`WIDE` with another width, in heads of 64, and other layers."""
    return replace(
        WIDE, hidden_size=hidden, intermediate_size=4 * hidden, layers=layers,
        heads=hidden // 64, kv_heads=max(1, hidden // 256),
    )  # fmt: skip


class Texts(NamedTuple):
    """Different programs by problem, and a tokenizer trained on all of them and their prompts."""

    by_problem: list[list[Row]]
    tokenizer: Tokenizer


def read_texts(data: str, *, seed: int) -> Texts:
    """All of a folder, or of mini-TACO ("")."""
    found = attempts(data) if data else mini_programs(MINI_PROGRAMS, seed=seed)
    by_problem: dict[str, dict[str, Row]] = defaultdict(dict)
    for program in found:
        by_problem[program.problem.problem_id].setdefault(_text(program), _row(program))
    rows = [list(own.values()) for own in by_problem.values()]
    texts = [own[0].prompt for own in rows] + [row.program for own in rows for row in own]
    return Texts(rows, train_tokenizer(texts, VOCAB_SIZE))


def chosen_problems(texts: Texts, n: int | None, *, programs: int, seed: int) -> list[list[Row]]:
    """`n` problems (None: all that there are), at random, with so many of their programs each."""
    enough = [rows for rows in texts.by_problem if len(rows) >= programs]
    n = len(enough) if n is None else n
    if len(enough) < max(1, n):
        raise ConfigError(
            f"{n} problems with {programs} programs are asked for, the data have {len(enough)}: "
            "ask for fewer"
        )
    rng = random.Random(seed)
    return [rng.sample(rows, programs) for rows in rng.sample(enough, n)]


def chosen_solutions(texts: Texts, n: int, *, seed: int) -> list[Row]:
    """So many right programs, at random."""
    right = [row for rows in texts.by_problem for row in rows if row.passed]
    return random.Random(seed).sample(right, min(n, len(right)))


def reward_corpus(rows: Iterable[Row], tokenizer: Tokenizer, max_length: int) -> Corpus:
    """As the job makes it: a prompt's middle is cut where the text is too long."""
    config = OrmConfig(max_length=max_length)
    return _built(encode_reward(rows, tokenizer, config), tokenizer)


def generator_corpus(rows: Iterable[Row], tokenizer: Tokenizer, max_length: int) -> Corpus:
    """As the job makes it: with an end-of-text id; what is too long is left out."""
    config = GeneratorConfig(max_length=max_length)
    encoded = encode_generator(rows, tokenizer, config, end_id=end_of_text_id(tokenizer))
    return _built(encoded, tokenizer)


def new_model(auto: Any, shape: Shape, *, seed: int, **settings: Any) -> Any:
    """A fresh StarCoder2 of a shape, of a transformers class, without dropout."""
    import torch

    torch.manual_seed(seed)
    config = starcoder2_config(shape, shape.vocab_size, END_ID, **settings)
    return auto.from_config(config, dtype=torch.float32)


def _built(encoded: Iterable[tuple[Row, Encoded] | Rejected], tokenizer: Tokenizer) -> Corpus:
    dtype = token_type(tokenizer.get_vocab_size())
    found = [token_row(*item, dtype) for item in encoded if not isinstance(item, Rejected)]
    require_rows(len(found))
    return corpus_of(found)


def _row(program: Program) -> Row:
    problem = program.problem
    return Row(
        row_id="",
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, problem.starter_code),
        program=_text(program),
        passed=program.is_right,
    )


def _text(program: Program) -> str:
    # mini-TACO's are made different by a last line of no use
    return program.source.partition("\n_serial = ")[0].rstrip() + "\n"
