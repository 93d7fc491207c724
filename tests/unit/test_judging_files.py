"""Lists of special judges and checkers, from the file to the prepared problem."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codeprm.cleaning import CleanConfig
from codeprm.errors import DataError
from codeprm.records import Problem, Trust
from codeprm.steps.base import Workers
from codeprm.steps.judging_files import read_judging, read_wrong_programs
from codeprm.steps.prepare import PrepareConfig, prepare_stages
from codeprm.steps.run import run_here, start_stage
from codeprm.tables import Directory

CHECKER = "def check(input, output, expected):\n    return output.strip() == '4'\n"
NAMES = ("plain", "many", "case", "float", "unclear", "checked", "loose")
STATEMENTS = {"loose": "An error of at most 10^{-4} is allowed."}


def source(path: Path, *names: str) -> str:
    rows = [
        {
            "question": STATEMENTS.get(name, f"Solve {name}."),
            "solutions": "[]",
            "input_output": json.dumps({"inputs": [f"{name}\n"], "outputs": ["4\n"]}),
            "name": name,
        }
        for name in names
    ]
    return jsonl(path, rows)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return str(path)


def prepared(tmp_path: Path, source: str, **places: str) -> dict[str, Problem]:
    config = PrepareConfig(
        dataset="taco", source=source, buckets=2, clean=CleanConfig(min_tests=1), **places
    )
    out = str(tmp_path / "out")
    clean_stage, unite_stage = prepare_stages(config, out, Workers())
    start_stage(unite_stage)
    run_here(clean_stage)
    run_here(unite_stage)
    return {problem.name: problem for problem in Directory(out).read_records(Problem)}


def test_a_list_and_checkers_become_part_of_the_problems(tmp_path: Path) -> None:
    special = [
        {"idx": 0, "special_judge": False, "case": 0},
        {"idx": 1, "special_judge": True, "case": 1},
        {"problem": "case", "special_judge": True, "case": 2},
        {"idx": 3, "special_judge": True, "case": 3},
        {"idx": 4, "special_judge": True, "case": 0},
        {"problem": "checked", "special_judge": True, "case": 1},
    ]
    problems = prepared(
        tmp_path,
        source(tmp_path / "raw.jsonl", *NAMES),
        special_judge=jsonl(tmp_path / "spj.jsonl", special),
        checkers=jsonl(tmp_path / "checkers.jsonl", [{"problem": "checked", "checker": CHECKER}]),
    )
    found = {name: (problem.compare, problem.trust) for name, problem in problems.items()}
    assert found == {
        "plain": ("grade/1", Trust.BOTH),
        "many": ("grade/1", Trust.PASSES),
        "case": ("grade/1+case", Trust.BOTH),
        "float": ("grade/1+float", Trust.BOTH),
        "unclear": ("grade/1", Trust.PASSES),
        "checked": ("grade/1", Trust.BOTH),
        "loose": ("grade/1+eps=0.0001", Trust.BOTH),
    }
    assert {name: p.checker for name, p in problems.items() if p.checker} == {"checked": CHECKER}


def test_whatever_is_said_of_any_row_of_a_problem_holds(tmp_path: Path) -> None:
    special = [
        {"idx": 1, "special_judge": True, "case": 1},
        {"idx": 2, "special_judge": True, "case": 2},
    ]
    problems = prepared(
        tmp_path,
        source(tmp_path / "raw.jsonl", "plain", "plain", "plain"),
        special_judge=jsonl(tmp_path / "spj.jsonl", special),
    )
    assert [(p.compare, p.trust) for p in problems.values()] == [("grade/1+case", Trust.PASSES)]


def test_checkers_can_be_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "checkers"
    folder.mkdir()
    (folder / "many.py").write_text(CHECKER)
    (folder / "README.md").write_text("not a checker")
    judging = read_judging(special_judge="", checkers=str(folder))
    assert judging.checkers == {"many": CHECKER}


def test_programs_known_to_be_wrong_may_be_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl.gz"
    rows = [{"problem": "a", "program": text} for text in ("x", "y")]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert read_wrong_programs(str(path)) == {"a": ["x", "y"]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"special_judge": True, "case": 1}, "neither a row number"),
        ({"idx": True, "special_judge": True, "case": 1}, "neither a row number"),
        ({"idx": 1, "special_judge": True, "case": 9}, "known"),
        ({"idx": 1, "special_judge": "yes", "case": 1}, "known"),
        ([1], "is not an object"),
    ],
)
def test_a_faulty_list_is_one_sentence(tmp_path: Path, row: Any, message: str) -> None:
    path = jsonl(tmp_path / "spj.jsonl", [row])
    with pytest.raises(DataError, match=rf"spj\.jsonl, line 1, .*{message}"):
        prepare_stages(PrepareConfig(special_judge=path), str(tmp_path / "out"), Workers())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"problem": "a", "checker": "def check(a): pass"}', "does not take 3"),
        ('{"problem": "a"}', "has no texts"),
        ("{", "line 1, is not JSON"),
        ("\x1f\x8bx", "cannot be read"),
    ],
)
def test_a_faulty_checker_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "checkers.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=message):
        read_judging(special_judge="", checkers=str(path))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file at"):
        read_judging(special_judge=str(tmp_path / "no.jsonl"), checkers="")
