"""Cleaning: what is repaired, what is dropped and why; it never raises on a row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.cleaning import CleanConfig, Cleaned, clean, unite
from codeprm.datasets import dataset_named
from codeprm.raw_columns import memory_limit_mb, time_limit_s
from codeprm.records import Case, Provenance, Rejected, Solution

ORIGIN = Provenance(dataset="d", revision="train@1", row=7)
ONE_TEST = CleanConfig(min_tests=1)
PROGRAM = "n = int(input())\nm = n + 1\nprint(m)"


def raw(**columns: Any) -> dict[str, str]:
    """A good row of two tests; columns that are no text are written as JSON."""
    row: dict[str, Any] = {
        "question": "Print n + 1.",
        "solutions": [PROGRAM],
        "input_output": {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "3\n"]},
    }
    row |= columns
    return {name: value if isinstance(value, str) else json.dumps(value)
            for name, value in row.items()}  # fmt: skip


def cleaned(row: dict[str, str], config: CleanConfig = ONE_TEST, **options: Any) -> Cleaned:
    result = clean(row, provenance=ORIGIN, config=config, **options)
    assert isinstance(result, Cleaned), result
    return result


def reason(row: dict[str, str], config: CleanConfig = ONE_TEST, **options: Any) -> str:
    result = clean(row, provenance=ORIGIN, config=config, **options)
    assert isinstance(result, Rejected)
    assert result.row_id == "d:train@1:7"
    return result.reason


def contents(result: Cleaned) -> list[tuple[Any, Any]]:
    return [(json.loads(case.input), json.loads(case.expected)) for case in result.cases]


def dropped(result: Cleaned) -> list[tuple[str, str]]:
    return [(row.row_id.partition("#")[2], row.reason) for row in result.rejected]


def test_a_good_row_becomes_records() -> None:
    result = cleaned(raw(name="p", difficulty="EASY", time_limit="1 second", date=""))
    problem = result.problem
    assert contents(result) == [("1\n", "2\n"), ("2\n", "3\n")]
    assert [case.index for case in result.cases] == [0, 1]
    assert (problem.n_cases, problem.n_solutions) == (2, 1)
    assert (problem.entry_point, problem.date, problem.difficulty) == (None, None, "EASY")
    assert problem.provenance == (ORIGIN,)
    assert result.solutions[0].program == PROGRAM
    assert result.rejected == ()


def test_default_is_ten_tests() -> None:
    result = clean(raw(), provenance=ORIGIN)
    assert isinstance(result, Rejected)
    assert (result.reason, result.detail) == ("too_few_cases", "2 of 2 usable, 10 needed")


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        ([[[1, 2], 3]], [[5]], [([[1, 2], 3], 5)]),
        ([[[1, 2]]], [[[5]]], [([[1, 2]], [5])]),
        ([4, "ab"], [[5], [6]], [([4], 5), (["ab"], 6)]),
        ([[1], [2]], [[5, 6], [7]], [([1], [5, 6]), ([2], [7])]),
        ([[1], [2]], [[5], 6], [([1], [5]), ([2], 6)]),
        ([[]], [[None]], [([], None)]),
    ],
)
def test_call_style_repair(inputs: Any, outputs: Any, expected: Any) -> None:
    row = raw(input_output={"fn_name": "f", "inputs": inputs, "outputs": outputs})
    result = cleaned(row)
    assert contents(result) == expected
    assert result.problem.entry_point == "f"


@pytest.mark.parametrize(
    ("given_input", "output", "expected"),
    [
        (["3", "1 2 3"], ["6"], ("3\n1 2 3", "6")),
        ([3, "1 2 3"], 6, ("3\n1 2 3", "6")),
        ("3\r\n1\r\n", "6\r\n", ("3\n1\n", "6\n")),
        ("", "", ("", "")),
    ],
)
def test_stdin_style_repair(given_input: Any, output: Any, expected: tuple[str, str]) -> None:
    row = raw(input_output={"fn_name": None, "inputs": [given_input], "outputs": [output]})
    assert contents(cleaned(row)) == [expected]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"question": " \n"}, "bad_statement"),
        ({"question": "x" * 20_000}, "statement_long"),
        ({"question": "a \ud800 b"}, "bad_encoding"),
        ({"name": "\udfff"}, "bad_encoding"),
        ({"input_output": ""}, "bad_input_output"),
        ({"input_output": '{"inputs": ["1"], "outputs": ['}, "bad_input_output"),
        ({"input_output": "[]"}, "bad_input_output"),
        ({"input_output": {"inputs": "1", "outputs": ["2"]}}, "bad_input_output"),
        ({"input_output": {"inputs": ["1"]}}, "bad_input_output"),
        ({"input_output": "[" * 100_000}, "bad_input_output"),
        ({"input_output": '{"inputs": [1' + "0" * 5000 + '], "outputs": [1]}'}, "bad_input_output"),
        ({"input_output": {"fn_name": "a b", "inputs": [], "outputs": []}}, "bad_input_output"),
        ({"input_output": {"inputs": ["1"], "outputs": []}}, "case_count_mismatch"),
        ({"input_output": {"inputs": [], "outputs": []}}, "too_few_cases"),
    ],
)
def test_problems_are_rejected_with_a_reason(columns: dict[str, Any], expected: str) -> None:
    assert reason(raw(**columns)) == expected


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ('"inputs": ["1", {"a": 1}], "outputs": ["2", "2"]', "bad_case"),
        ('"inputs": ["1", [["x"]]], "outputs": ["2", "2"]', "bad_case"),
        ('"inputs": ["1", null], "outputs": ["2", "2"]', "bad_case"),
        ('"inputs": ["1", true], "outputs": ["2", "2"]', "bad_case"),
        ('"inputs": ["1", "\\ud800"], "outputs": ["2", "2"]', "bad_case"),
        ('"fn_name": "f", "inputs": [[1], [NaN]], "outputs": [1, 1]', "bad_case"),
        ('"fn_name": "f", "inputs": [[1], [2]], "outputs": [1, 1e999]', "bad_case"),
        ('"inputs": ["1", "1"], "outputs": ["2", "2"]', "case_duplicate"),
        ('"inputs": ["1", "1"], "outputs": ["2", "3"]', "case_conflict"),
    ],
)
def test_one_bad_test_is_dropped_alone(tests: str, expected: str) -> None:
    result = cleaned(raw(input_output="{" + tests + "}"))
    assert dropped(result) == [("case-1", expected)]
    assert len(result.cases) == 1


def test_long_test_is_dropped_with_a_bounded_excerpt() -> None:
    config = CleanConfig(min_tests=1, max_case_bytes=1000)
    tests = {"inputs": ["1", "9" * 2000], "outputs": ["1", "1"]}
    result = cleaned(raw(input_output=tests), config)
    assert dropped(result) == [("case-1", "case_long")]
    assert len(result.rejected[0].excerpt) <= 300


def test_solutions_are_dropped_with_a_reason() -> None:
    solutions = [
        PROGRAM, f"\n{PROGRAM}\n\n", PROGRAM.replace("\n", "\r\n"), "print(1)", "x = 1\n\n\ny = 2",
        "print 'two'\nx = 1\ny = 2", "x = (1\ny = 2\nz = 3", "a = 1\nb = '\x00'\nc = 3", 5,
        "a = 1\nb = '\ud800'\nc = 3", PROGRAM + "\n#" + "x" * 9000,
        "a = 1\nb = 2\nc = " + "(" * 2000,
    ]  # fmt: skip
    result = cleaned(raw(solutions=solutions))
    assert [solution.program for solution in result.solutions] == [PROGRAM]
    assert [why for _, why in dropped(result)] == [
        "solution_duplicate", "solution_duplicate", "solution_short", "solution_short",
        "solution_syntax", "solution_syntax", "solution_syntax", "solution_not_text",
        "solution_encoding", "solution_long", "solution_syntax",
    ]  # fmt: skip
    assert result.rejected[0].row_id == "d:train@1:7#solution-1"
    assert len({row.row_id for row in result.rejected}) == len(result.rejected)


@pytest.mark.parametrize("solutions", ["[", '{"a": 1}', "1", "nonsense"])
def test_problem_stays_without_readable_solutions(solutions: str) -> None:
    result = cleaned(raw(solutions=solutions))
    assert result.problem.n_solutions == 0
    assert dropped(result) == [("solutions", "bad_solutions")]


def test_problem_stays_without_solutions() -> None:
    assert cleaned(raw(solutions="")).problem.n_solutions == 0
    assert cleaned(raw(solutions=[])).rejected == ()


def test_tokens_are_counted_where_a_tokenizer_is_given() -> None:
    config = CleanConfig(min_tests=1, max_tokens=5)
    result = cleaned(raw(), config, count_tokens=lambda text: len(text.split()))
    assert dropped(result) == [("solution-0", "solution_long")]
    long = raw(question="one two three four five six")
    assert reason(long, config, count_tokens=lambda text: len(text.split())) == "statement_long"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 second", 2.0), ("2.0 - 3.0 seconds", 6.0), ("0.5 seconds", 2.0), ("1.5 sec", 3.0),
        ("", 10.0), ("unlimited", 10.0), ("4000 ms", 8.0), ("1500 milliseconds", 3.0),
        ("100000 seconds", 60.0),
    ],
)  # fmt: skip
def test_time_limit(text: str, seconds: float) -> None:
    assert time_limit_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("256 megabytes", 256), ("512.0 megabytes", 512), ("64 MB", 256), ("", 1024),
        ("1 gigabyte", 1024), ("524288 KB", 512), ("268435456 bytes", 256), ("9999 GB", 4096),
    ],
)  # fmt: skip
def test_memory_limit(text: str, megabytes: int) -> None:
    assert memory_limit_mb(text) == megabytes


STDIN_EXAMPLE = """Add them.

Input

Two numbers.

Output

Their sum.

Sample Input 1

1 2

Sample Output 1

3

Sample Input 2
10 20
Sample Output 2
30
"""


def test_tests_among_the_examples_are_public() -> None:
    tests = {"inputs": ["1 2\n", "10  20", "1 3\n"], "outputs": ["3", "30", "4"]}
    result = cleaned(raw(question=STDIN_EXAMPLE, input_output=tests))
    assert [case.public for case in result.cases] == [True, True, False]


def test_call_examples_are_public() -> None:
    question = 'Join.\nExample 1:\n\nInput: words = ["a b", "c=d"], k = 2\nOutput: "x"\n'
    tests = {"fn_name": "f", "inputs": [[["a b", "c=d"], 2], [["a"], 2]], "outputs": [["x"], ["y"]]}
    result = cleaned(raw(question=question, input_output=tests))
    assert [case.public for case in result.cases] == [True, False]


def test_unite_keeps_the_first_row_and_joins_the_rest() -> None:
    other = Provenance(dataset="d", revision="train@1", row=9)
    tests = {"inputs": ["2\n", "1\n", "5\n"], "outputs": ["3\n", "wrong", "6\n"]}
    second_row = raw(question="Print  n + 1.\n", input_output=tests, difficulty="HARD",
                     solutions=[PROGRAM + "  # again", PROGRAM])  # fmt: skip
    second = clean(second_row, provenance=other, config=ONE_TEST)
    assert isinstance(second, Cleaned)
    whole = unite([cleaned(raw(difficulty="EASY")), second])
    assert whole.problem.difficulty == "EASY"
    assert whole.problem.statement == "Print n + 1."
    assert contents(whole) == [("1\n", "2\n"), ("2\n", "3\n"), ("5\n", "6\n")]
    assert [case.index for case in whole.cases] == [0, 1, 2]
    assert [solution.program for solution in whole.solutions] == [PROGRAM, PROGRAM + "  # again"]
    assert (whole.problem.n_cases, whole.problem.n_solutions) == (3, 2)
    assert whole.problem.provenance == (ORIGIN, other)
    assert [(row.row_id, row.reason) for row in whole.rejected] == [
        ("d:train@1:9#conflict-0", "case_conflict")
    ]


def test_minitaco_loses_nothing() -> None:
    dataset = dataset_named("minitaco")
    for part in dataset.plan("n=40", "train", None):
        for provenance, row in dataset.read(part):
            assert not isinstance(row, Rejected)
            result = clean(row, provenance=provenance)
            assert isinstance(result, Cleaned)
            assert result.rejected == ()
            assert result.problem.n_cases == 12
            assert result.problem.n_solutions == len(json.loads(row["solutions"]))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    fn_name=st.sampled_from([None, "", "f", "a.b", 3]),
    inputs=st.lists(ANY_JSON, max_size=3),
    outputs=st.lists(ANY_JSON, max_size=3),
    solutions=ANY_JSON | st.text(),
    question=st.text(st.characters(), max_size=10),
)
def test_any_row_gives_storable_records(
    fn_name: Any, inputs: list[Any], outputs: list[Any], solutions: Any, question: str
) -> None:
    tests = {"fn_name": fn_name, "inputs": inputs, "outputs": outputs}
    result = clean(
        raw(question=question, input_output=tests, solutions=solutions),
        provenance=ORIGIN,
        config=ONE_TEST,
    )
    records: list[Case | Solution | Rejected] = (
        [result]
        if isinstance(result, Rejected)
        else [*result.cases, *result.solutions, *result.rejected]
    )
    for record in records:
        assert all(value.encode() is not None for value in record.to_row().values()
                   if isinstance(value, str))  # fmt: skip
