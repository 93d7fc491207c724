"""CodeRM result files in: gzip JSON of problems with samples, their verdicts and scores.

    file -> ResultFile -> Completion, Verdict, Score records, given the problem they belong to

The file says whether a sample passed and what its executor printed; `imported_outcome` reads one of
our outcomes off that message as well as it can be read (the label never depends on it). Scores are
the two probabilities of a softmax in bfloat16; the margin is recovered as log p1 - log p0, which
keeps the order that p1 alone loses near 1. A probability that was rounded to zero counts as the
smallest one that the format holds.

Not read: likelihoods where the writer had none (it puts -1 for them), public-test verdicts.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codeprm.errors import DataError
from codeprm.records import Completion, Outcome, Score, Verdict, completion_id_of, content_hash
from codeprm.tables import filesystem

IMPORTED_GRADE = "coderm"
IMPORTED_SANDBOX = "imported"
SMALLEST_BF16 = 2.0**-126
DETAIL_CHARS = 300
GZIP_MAGIC = b"\x1f\x8b"

_WRONG_STDOUT = re.compile(r"\[(\d+)\] expected .* but got ", re.DOTALL)
_EXCEPTION = re.compile(r"(?:\b|\\n)([A-Z]\w*(?:Error|Exception|Interrupt|Exit))\b")
_COMPILE_ERRORS = frozenset({"SyntaxError", "IndentationError", "TabError"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultItem:
    """One problem of the file; `results` are its samples as they stand there."""

    name: str
    statement: str
    results: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A whole file; `generation_id` names how the samples were made, as far as the file tells."""

    model: str
    orm_model: str
    max_tokens: int
    generation_id: str
    items: Sequence[ResultItem]

    @property
    def has_scores(self) -> bool:
        """Whether any sample was scored."""
        return any("orm_1_score" in result for item in self.items for result in item.results)


def read_results(uri: str) -> ResultFile:
    """Read a file, gzipped or not; one sentence where it is not such a file."""
    value = _json_of(uri)
    if not isinstance(value, Mapping) or not isinstance(value.get("items"), list):
        raise DataError(f'{uri} is no CodeRM result file: it has no list "items"')
    header = {
        key: value.get(key)
        for key in ("model", "dataset_name", "max_tokens", "temperature", "top_p")
    }
    max_tokens = value.get("max_tokens")
    return ResultFile(
        model=str(value.get("model") or "unknown"),
        orm_model=str(value.get("orm_model") or "unknown"),
        max_tokens=max_tokens if isinstance(max_tokens, int) else -1,
        generation_id=content_hash("coderm", json.dumps(header, sort_keys=True)),
        items=[_item(uri, number, item) for number, item in enumerate(value["items"])],
    )


def imported_completion(
    file: ResultFile, result: Mapping[str, Any], *, problem_id: str, index: int
) -> Completion | None:
    """The sample as a completion, None where it holds no storable program."""
    code = result.get("code")
    if not isinstance(code, str) or not _is_text(code):
        return None
    tokens = result.get("num_tokens")
    num_tokens = tokens if isinstance(tokens, int) and tokens > 0 else 0
    logprob = result.get("cumulative_logprob")
    has_logprob = num_tokens > 0 and isinstance(logprob, int | float) and math.isfinite(logprob)
    return Completion(
        completion_id=completion_id_of(problem_id, file.generation_id, index),
        problem_id=problem_id,
        index=index,
        text=code,
        program=code,
        model=file.model,
        generation_id=file.generation_id,
        seed=0,
        cumulative_logprob=float(logprob or 0) if has_logprob else None,
        num_tokens=num_tokens,
        finish_reason="length" if 0 < file.max_tokens <= num_tokens else "stop",
    )


def imported_verdict(result: Mapping[str, Any], completion: Completion) -> Verdict | None:
    """What the file's executor said; None where the sample was not executed."""
    passing = result.get("passing")
    if not isinstance(passing, bool):
        return None
    message = str(result.get("output") or "")
    outcome = imported_outcome(passing=passing, message=message, program=completion.program)
    wrong = _WRONG_STDOUT.match(message)
    first_failure = int(wrong[1]) if wrong and not passing else None
    return Verdict(
        completion_id=completion.completion_id,
        solution_id=None,
        problem_id=completion.problem_id,
        outcome=outcome,
        label=outcome.label,
        cases_passed=first_failure or 0,
        cases_run=0 if first_failure is None else first_failure + 1,
        first_failure=first_failure,
        detail="" if passing else _as_text(message[-DETAIL_CHARS:]),
        cpu_s=0.0,
        wall_s=0.0,
        grade_version=IMPORTED_GRADE,
        sandbox_level=IMPORTED_SANDBOX,
    )


def imported_outcome(*, passing: bool, message: str, program: str) -> Outcome:
    """One of our outcomes from the executor's message.

    A traceback that was cut before its last line, and an assertion, are wrong answers: the file's
    call-style tests are assertions. A death without a word is a runtime error.
    """
    if passing:
        return Outcome.PASSED
    if not program.strip():
        return Outcome.NO_PROGRAM
    if _WRONG_STDOUT.match(message):
        return Outcome.WRONG_ANSWER
    if message.strip().removeprefix("errored with").strip(" '\"\n") == "Timeout":
        return Outcome.TIME_LIMIT
    names = _EXCEPTION.findall(message)
    last = names[-1] if names else ""
    if last in _COMPILE_ERRORS:
        return Outcome.COMPILE_ERROR
    if last == "MemoryError":
        return Outcome.MEMORY_LIMIT
    if last == "AssertionError" or (not last and "assert " in message):
        return Outcome.WRONG_ANSWER
    return Outcome.RUNTIME_ERROR


def imported_score(
    file: ResultFile, result: Mapping[str, Any], completion: Completion
) -> Score | None:
    """The file's score; None where there is none, or none that is a pair of probabilities."""
    fail = _probability(result.get("orm_0_score"))
    right = _probability(result.get("orm_1_score"))
    if fail is None or right is None or fail + right == 0:
        return None
    return Score(
        completion_id=completion.completion_id,
        problem_id=completion.problem_id,
        margin=recovered_margin(fail, right),
        probability=right / (fail + right),
        model=file.orm_model,
        calibration="identity",
    )


def recovered_margin(fail: float, right: float) -> float:
    """logit(pass) - logit(fail) from the two rounded probabilities; always finite."""
    return math.log(max(right, SMALLEST_BF16)) - math.log(max(fail, SMALLEST_BF16))


def _json_of(uri: str) -> Any:
    fs, path = filesystem(uri)
    try:
        # pyarrow would decompress by the file's name; the content decides
        with fs.open_input_stream(path, compression=None) as stream:
            data: bytes = stream.read()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"no file at {uri}: give a CodeRM result file") from error
    except OSError as error:
        raise DataError(f"{uri} cannot be read ({error})") from error
    try:
        return json.loads(gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{uri} is cut off or damaged ({error}): copy it again") from error
    except ValueError as error:
        raise DataError(f"{uri} is not JSON ({error}): give a CodeRM result file") from error


def _item(uri: str, number: int, item: Any) -> ResultItem:
    where = f"{uri}, item {number},"
    if not isinstance(item, Mapping):
        raise DataError(f"{where} is not an object: the file is no CodeRM result file")
    results = item.get("results")
    if not isinstance(results, list) or not all(isinstance(r, Mapping) for r in results):
        raise DataError(f'{where} has no list "results" of objects')
    if not isinstance(item.get("prompt"), str):
        raise DataError(f'{where} has no text "prompt"')
    return ResultItem(
        name=str(item.get("unique_name") or ""), statement=item["prompt"], results=results
    )


def _probability(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
