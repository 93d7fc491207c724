from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from codeprm.encoding import Encoded, encode_text
from codeprm.errors import DataError
from codeprm.prompts import docstring_prompt
from codeprm.records import Example, Label, Problem, Provenance, Rejected, Solution
from codeprm.tables import Directory
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.corpus import (
    IGNORED,
    Corpus,
    next_token_targets,
    padded,
    require_both_classes,
    require_rows,
    token_type,
)
from codeprm.training.prepare import (
    prepare_tokenizer,
    read_tokenizer,
    require_what_targets_read,
)
from codeprm.training.rows import Row, encode_generator, encode_reward, generator_rows, reward_rows
from codeprm.training.targets import TargetOptions
from codeprm.training.token_files import corpus_of, token_row
from codeprm.training.tokenizer import end_of_text_id, train_tokenizer
from tests.rows import write_directory

STATEMENT = "Read 12 integers and print the sum of those that are even."
PROGRAM = "a = list(map(int, input().split()))\nprint(sum(x for x in a if x % 2 == 0))"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([STATEMENT, PROGRAM] * 3, 400)


def a_problem(name: str) -> Problem:
    return Problem(
        problem_id=name, name=name, statement=f"{STATEMENT} ({name})", starter_code="",
        entry_point=None, difficulty="EASY", source="test", date=None, time_limit_s=2.0,
        memory_limit_mb=256, compare="grade/1", n_cases=0, n_solutions=2,
        provenance=(Provenance(dataset="test", revision="0", row=0),),
    )  # fmt: skip


def a_solution(problem: str, number: int, program: str = PROGRAM) -> Solution:
    return Solution(
        solution_id=f"{problem}-{number}", problem_id=problem, program=program, origin="natural",
        has_reasoning=False,
    )  # fmt: skip


def an_example(number: int, *, label: Label, program: str = PROGRAM, **changes: object) -> Example:
    values: dict[str, object] = {
        "problem_id": "p",
        "split": "train",
        "prompt": docstring_prompt(STATEMENT, ""),
        "weight": 0.5,
    }
    return Example(
        example_id=str(number),
        program=program,
        label=label,
        **(values | changes),  # type: ignore[arg-type]
    )


def build(tokenizer: Tokenizer, encoded: object) -> tuple[Corpus, list[Rejected]]:
    found, rejected, dtype = [], [], token_type(tokenizer.get_vocab_size())
    for item in encoded:  # type: ignore[attr-defined]
        if isinstance(item, Rejected):
            rejected.append(item)
        else:
            found.append(token_row(*item, dtype))
    return corpus_of(found), rejected


def test_a_generator_row_is_prompt_program_and_one_end(tokenizer: Tokenizer) -> None:
    config = GeneratorConfig(max_length=512)
    rows = generator_rows([a_problem("a")], [a_solution("a", 0)], config)
    end = end_of_text_id(tokenizer)
    corpus, _ = build(tokenizer, encode_generator(rows, tokenizer, config, end_id=end))
    prompt = encode_text(tokenizer, docstring_prompt(a_problem("a").statement, ""))
    assert corpus.row(0).tolist() == [*prompt, *encode_text(tokenizer, PROGRAM), end]
    assert corpus.prompt_lengths.tolist() == [len(prompt)]


def test_targets_are_the_solution_and_its_end_only(tokenizer: Tokenizer) -> None:
    config = GeneratorConfig(max_length=512)
    solutions = [a_solution("a", 0), a_solution("a", 1, "print(1)\nprint(2)\nprint(3)")]
    rows = generator_rows([a_problem("a")], solutions, config)
    corpus, _ = build(tokenizer, encode_generator(rows, tokenizer, config, end_id=0))
    both = np.array([0, 1], dtype=np.int64)
    ids = padded(corpus, both)
    targets = next_token_targets(corpus, both, ids)
    for line in both:
        n_prompt, length = corpus.prompt_lengths[line], corpus.lengths[line]
        learnt = targets[line] != IGNORED
        assert np.flatnonzero(learnt).tolist() == list(range(n_prompt - 1, length - 1))
        assert targets[line][learnt].tolist() == corpus.row(int(line))[n_prompt:].tolist()


def test_the_text_of_the_end_is_ordinary_inside_a_program(tokenizer: Tokenizer) -> None:
    config = OrmConfig(max_length=512)
    example = an_example(0, label=Label.PASS, program='print("<|endoftext|>")')
    corpus, _ = build(tokenizer, encode_reward(reward_rows([example]), tokenizer, config))
    assert 0 not in corpus.row(0)


def test_first_n_takes_the_first_of_each_problem() -> None:
    config = GeneratorConfig(strategy="first_n", n_solutions=2)
    solutions = [a_solution(p, number) for number in range(4) for p in "ab"]
    rows = list(generator_rows([a_problem("a"), a_problem("b")], solutions, config))
    learnt = [row.row_id for row in rows if isinstance(row, Row)]
    assert learnt == ["a-0", "a-1", "b-0", "b-1"]
    left = {row.row_id: row.reason for row in rows if isinstance(row, Rejected)}
    assert left == dict.fromkeys(["a-2", "a-3", "b-2", "b-3"], "not_drawn")


def test_too_long_is_rejected_with_its_length(tokenizer: Tokenizer) -> None:
    config = GeneratorConfig(max_length=100)
    solutions = [a_solution("a", 0), a_solution("a", 1, "x = 1\n" * 200)]
    rows = generator_rows([a_problem("a")], solutions, config)
    corpus, rejected = build(tokenizer, encode_generator(rows, tokenizer, config, end_id=0))
    assert len(corpus) == 1
    assert [(r.row_id, r.reason) for r in rejected] == [("a-1", "too_long")]
    assert "at most 100" in rejected[0].detail


def test_a_long_prompt_loses_its_middle_but_the_program_stays(tokenizer: Tokenizer) -> None:
    prompt = docstring_prompt("first words. " + "noise " * 300 + "last words.", "")
    example = an_example(0, label=Label.PASS, prompt=prompt)
    config = OrmConfig(max_length=128)
    corpus, _ = build(tokenizer, encode_reward(reward_rows([example]), tokenizer, config))
    assert corpus.lengths.tolist() == [128]
    program = encode_text(tokenizer, PROGRAM)
    assert corpus.row(0)[-len(program) :].tolist() == program


def test_unknown_is_never_trained_on_and_empty_is_rejected(tokenizer: Tokenizer) -> None:
    examples = [
        an_example(0, label=Label.PASS),
        an_example(1, label=Label.UNKNOWN),
        an_example(2, label=Label.FAIL, program=""),
        an_example(3, label=Label.FAIL, split="calibration"),
    ]
    config = OrmConfig(max_length=512)
    corpus, rejected = build(tokenizer, encode_reward(reward_rows(examples), tokenizer, config))
    assert corpus.labels.tolist() == [1, 0]
    assert corpus.held_out.tolist() == [False, True]
    assert corpus.weights.tolist() == [0.5, 0.5]
    assert [(r.row_id, r.reason) for r in rejected] == [("2", "no_program")]


def test_one_class_is_a_sentence_for_the_user(tokenizer: Tokenizer) -> None:
    examples = [an_example(number, label=Label.PASS) for number in range(3)]
    config = OrmConfig(max_length=512)
    corpus, _ = build(tokenizer, encode_reward(reward_rows(examples), tokenizer, config))
    with pytest.raises(DataError, match="3 training examples are of one class"):
        require_both_classes(corpus)


def test_nothing_to_train_on_is_a_sentence_for_the_user() -> None:
    with pytest.raises(DataError, match="no row is left"):
        require_rows(0)


def test_without_a_prompt_the_first_token_is_not_predicted() -> None:
    row = Row("a", "p", "", "program")
    corpus = corpus_of([token_row(row, Encoded([], [5, 6, 7]), token_type(500))])
    first = np.array([0])
    targets = next_token_targets(corpus, first, padded(corpus, first))
    assert targets.tolist() == [[6, 7, IGNORED]]
    assert corpus.target_lengths.tolist() == [2]


def test_solutions_that_are_not_chosen_are_rejected_rows(tokenizer: Tokenizer) -> None:
    config = GeneratorConfig(max_length=512, near_duplicates=0.9)
    solutions = [a_solution("a", 0), a_solution("a", 1, PROGRAM + "  # again")]
    rows = generator_rows([a_problem("a")], solutions, config)
    corpus, rejected = build(tokenizer, encode_generator(rows, tokenizer, config, end_id=0))
    assert len(corpus) == 1
    assert [(r.row_id, r.reason, r.detail) for r in rejected] == [("a-1", "near_duplicate", "a-0")]


def test_targets_and_weights_follow_the_options(tokenizer: Tokenizer) -> None:
    options = TargetOptions(
        smooth_passes=0.1, near_miss=0.5, outcome_weights={"compile_error": 0.5}
    )
    examples = [
        an_example(0, label=Label.PASS, outcome="passed"),
        an_example(1, label=Label.FAIL, outcome="wrong_answer", passed_share=0.8),
        an_example(2, label=Label.FAIL, outcome="compile_error"),
    ]
    config = OrmConfig(max_length=512, targets=options)
    rows = reward_rows(examples, config.targets)
    corpus, _ = build(tokenizer, encode_reward(rows, tokenizer, config))
    assert corpus.targets.tolist() == [0.9, 0.4, 0.0]
    assert corpus.weights.tolist() == [0.5, 0.5, 0.25]
    assert corpus.labels.tolist() == [1, 0, 0]


def test_targets_are_the_labels_where_nothing_is_asked(tokenizer: Tokenizer) -> None:
    examples = [an_example(0, label=Label.PASS), an_example(1, label=Label.FAIL)]
    config = OrmConfig(max_length=512)
    corpus, _ = build(tokenizer, encode_reward(reward_rows(examples), tokenizer, config))
    assert corpus.targets.tolist() == [1.0, 0.0]


def test_examples_without_verdicts_are_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    old = [an_example(0, label=Label.PASS), an_example(1, label=Label.FAIL)]
    data = Directory(write_directory(tmp_path / "examples", old, (Example,)))
    with pytest.raises(DataError, match="near_miss is given"):
        require_what_targets_read(data, TargetOptions(near_miss=0.5))
    with pytest.raises(DataError, match="outcome_weights are given"):
        require_what_targets_read(data, TargetOptions(outcome_weights={"wrong_answer": 2.0}))
    require_what_targets_read(data, TargetOptions())


def test_a_weight_that_is_no_number_stops_the_run() -> None:
    with pytest.raises(DataError, match="the example 0 of problem p has the weight nan"):
        list(reward_rows([an_example(0, label=Label.PASS, weight=float("nan"))]))


def test_blank_programs_are_empty_and_too_long_ones_rejected_whole(tokenizer: Tokenizer) -> None:
    config = OrmConfig(max_length=100)
    examples = [
        an_example(0, label=Label.PASS),
        an_example(1, label=Label.FAIL, program=" \n\n"),
        an_example(2, label=Label.FAIL, program="x = 1\n" * 200),
    ]
    corpus, rejected = build(tokenizer, encode_reward(reward_rows(examples), tokenizer, config))
    assert len(corpus) == 1
    assert [(r.row_id, r.reason) for r in rejected] == [("1", "no_program"), ("2", "too_long")]


def test_a_class_without_weight_is_no_class(tokenizer: Tokenizer) -> None:
    examples = [
        an_example(0, label=Label.PASS),
        an_example(1, label=Label.PASS),
        an_example(2, label=Label.FAIL, outcome="compile_error"),
    ]
    options = TargetOptions(outcome_weights={"compile_error": 0.0})
    config = OrmConfig(max_length=512, targets=options)
    rows = reward_rows(examples, options)
    corpus, _ = build(tokenizer, encode_reward(rows, tokenizer, config))
    with pytest.raises(DataError, match=r"2 training examples are of one class \(all passed\)"):
        require_both_classes(corpus)


def test_a_model_behind_a_uri_gives_its_tokenizer(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "tokenizer.json").write_text(tokenizer.to_str())
    examples = [an_example(at, label=label) for at, label in enumerate((Label.PASS, Label.FAIL))]
    data = write_directory(tmp_path / "examples", examples, (Example,))
    out = Directory(write_directory(tmp_path / "out", (), (), complete=False))
    prepare_tokenizer(Directory(data), out, OrmConfig(model=f"file://{model}"))
    assert read_tokenizer(out).to_str() == tokenizer.to_str()
