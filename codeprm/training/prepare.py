"""Tables -> what a run learns from, in `work/`: a tokenizer and rows of its ids; rejected rows.

    prepare_tokenizer   the model's raw tokenizer.json, or one trained on the very texts
    tokenise_stage      a stage like every other: a part of the input, a part of `TokenRow`s
    finish_preparation  whether the rows can be learnt from; what was rejected, into the directory

Done once a run: one that is continued finds what is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from codeprm.backends.checkpoint import local_checkpoint
from codeprm.encoding import Encoded, load_tokenizer, tokenizer_of
from codeprm.records import Example, Label, Problem, Record, Rejected, Solution
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import part_units
from codeprm.tables import Directory, PartWriter, open_directory
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.corpus import require_both_classes, require_rows_to_learn, token_type
from codeprm.training.rows import Row, encode_generator, encode_reward, generator_rows, reward_rows
from codeprm.training.targets import TargetOptions, require_verdicts
from codeprm.training.token_files import StoredCorpus, TokenRow, open_corpus, token_row
from codeprm.training.tokenizer import end_of_text_id, train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PART = "part-00000"
WORK = "work"
TOKENS = "tokens"
TOKENIZER_FILE = "tokenizer.json"
# Options of targets that ask for these of failing examples.
VERDICT_COLUMNS = ("label", "outcome", "passed_share")


def prepare_tokenizer(
    source: Directory, out: Directory, config: GeneratorConfig | OrmConfig
) -> None:
    """Write the run's tokenizer; a model made from scratch gets one trained on its texts."""
    if isinstance(config, GeneratorConfig) and config.from_scratch:
        tokenizer = train_tokenizer(_texts(source, config), config.shape.vocab_size)
    else:
        tokenizer = load_tokenizer(local_checkpoint(config.model), config.revision)
    if isinstance(config, OrmConfig):
        require_what_targets_read(source, config.targets)
    out.write_bytes(tokenizer.to_str().encode(), WORK, TOKENIZER_FILE)


def tokenise_stage(
    source: str, out: str, config: GeneratorConfig | OrmConfig, *, workers: int
) -> Stage:
    """One unit a part of the input, by at most so many workers."""
    return Stage(
        job="tokenise",
        out=tokens_of(Directory(out)).uri,
        config=config,
        inputs={"source": source},
        tables=(TokenRow,),
        buckets=Directory(source).buckets,
        units=partial(part_units, source),
        step=partial(_tokenise_step, source, out, config),
        workers=Workers(max_workers=workers),
    )


def finish_preparation(out: Directory, config: GeneratorConfig | OrmConfig) -> None:
    """Refuse rows that nothing can be learnt from; commit the rejected ones to the directory."""
    started = time.monotonic()
    index = open_corpus(tokens_of(out))
    if isinstance(config, OrmConfig):
        require_both_classes(index)
    else:
        require_rows_to_learn(index)
    with PartWriter(out, PART, ()) as writer:
        for row in tokens_of(out).read_records(Rejected):
            writer.write(row)
        writer.commit(seconds=time.monotonic() - started, attempts=1)


def tokens_of(out: Directory) -> Directory:
    """Where a run's rows of tokens are, while it trains."""
    return open_directory("/".join([out.uri, WORK, TOKENS]))


def read_corpus(out: Directory) -> StoredCorpus:
    """The rows that were prepared."""
    return open_corpus(tokens_of(out))


def read_tokenizer(out: Directory) -> Tokenizer:
    """The run's tokenizer."""
    return tokenizer_of(read_tokenizer_json(out))


def read_tokenizer_json(out: Directory) -> str:
    """As it was given, or trained."""
    return out.read_bytes(WORK, TOKENIZER_FILE).decode()


class TokeniseSolutions:
    """A generator's rows; an item is a problem with its solutions."""

    spool_key: str | None = None

    def __init__(self, source: str, out: str, config: GeneratorConfig) -> None:
        self._source = Directory(source)
        self._config = config
        self._tokenizer = read_tokenizer(Directory(out))
        self._end_id = end_of_text_id(self._tokenizer)

    def items(self, unit: Unit) -> Sequence[Item]:
        parts = [str(unit.source["part"])]
        solutions: dict[str, list[Solution]] = {}
        for solution in self._source.read_records(Solution, parts):
            solutions.setdefault(solution.problem_id, []).append(solution)
        return [
            Item(own.problem_id, own.problem_id, (own, solutions.get(own.problem_id, [])))
            for own in self._source.read_records(Problem, parts)
        ]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        rows = chain.from_iterable(
            generator_rows([problem], solutions, self._config)
            for problem, solutions in (item.value for item in items)
        )
        encoded = encode_generator(rows, self._tokenizer, self._config, end_id=self._end_id)
        return _records(encoded, self._tokenizer)

    def close(self) -> None:
        """Nothing is held."""


class TokeniseExamples:
    """A reward model's rows; an item is an example."""

    spool_key: str | None = None

    def __init__(self, source: str, out: str, config: OrmConfig) -> None:
        self._source = Directory(source)
        self._config = config
        self._tokenizer = read_tokenizer(Directory(out))

    def items(self, unit: Unit) -> Sequence[Item]:
        examples = self._source.read_records(Example, [str(unit.source["part"])])
        return [Item(example.example_id, example.problem_id, example) for example in examples]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        rows = reward_rows((item.value for item in items), self._config.targets)
        return _records(encode_reward(rows, self._tokenizer, self._config), self._tokenizer)

    def close(self) -> None:
        """Nothing is held."""


def _tokenise_step(
    source: str, out: str, config: GeneratorConfig | OrmConfig
) -> TokeniseExamples | TokeniseSolutions:
    if isinstance(config, OrmConfig):
        return TokeniseExamples(source, out, config)
    return TokeniseSolutions(source, out, config)


def _records(
    encoded: Iterable[tuple[Row, Encoded] | Rejected], tokenizer: Tokenizer
) -> Iterator[Record]:
    dtype = token_type(tokenizer.get_vocab_size())
    for found in encoded:
        yield found if isinstance(found, Rejected) else token_row(*found, dtype)


def _texts(source: Directory, config: GeneratorConfig) -> Iterator[str]:
    for part in source.committed():
        problems = source.read_records(Problem, [part])
        for row in generator_rows(problems, source.read_records(Solution, [part]), config):
            if isinstance(row, Row):
                yield from (row.prompt, row.program)


def require_what_targets_read(examples: Directory, options: TargetOptions) -> None:
    """Options that read verdicts need failing examples that carry them."""
    if not options.outcome_weights and not options.near_miss:
        return
    n_failed, has_outcomes, has_shares = 0, False, False
    for batch in examples.read_batches(Example, columns=VERDICT_COLUMNS):
        failing = [row for row in batch.to_pylist() if row["label"] == Label.FAIL]
        n_failed += len(failing)
        has_outcomes |= any(row["outcome"] for row in failing)
        has_shares |= any(row["passed_share"] is not None for row in failing)
    if n_failed:
        require_verdicts(options, has_outcomes=has_outcomes, has_shares=has_shares)
