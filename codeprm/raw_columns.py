"""The text columns of TACO's schema -> values: tests, examples of the statement, limits.

Tests come in several shapes. Each is mended or refused on its own; what is mended is no more than

    call style (`fn_name`)   an input that is no list becomes the only argument; where every
                             output is a list of one, as TACO wraps them, it is unwrapped once
    stdin style              a list of lines is joined with newlines, a bare number is its text,
                             CRLF is LF
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

DEFAULT_TIME_S, MIN_TIME_S, MAX_TIME_S = 10.0, 2.0, 60.0
DEFAULT_MEMORY_MB, MIN_MEMORY_MB, MAX_MEMORY_MB = 1024, 256, 4096

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]?)")
_MEGABYTES = {"b": 1 / 2**20, "k": 1 / 2**10, "g": 2**10}

_EXAMPLE = re.compile(
    r"^[^\w\n]*(?:sample |example )?input\b[ \t]*\d*[ \t]*(?:copy)?[ \t*]*:?(?P<input>.*?)"
    r"^[^\w\n]*(?:sample |example )?output\b",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_ARGUMENT_NAME = re.compile(r"(?:^|(?<=,))\s*[A-Za-z_]\w*\s*=(?!=)")


class Unusable(Exception):
    """A row or a test that cannot be used; caught in cleaning and kept as a `Rejected` row."""

    def __init__(self, reason: str, detail: str, excerpt: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.excerpt = excerpt


class CaseText(NamedTuple):
    """One test as `Case` holds it: two JSON texts."""

    input: str
    expected: str


class InputOutput(NamedTuple):
    """All tests of a row, in order; `entry_point` is None for stdin style."""

    entry_point: str | None
    cases: list[CaseText | Unusable]


def parse_cases(text: str) -> InputOutput:
    """The tests of an `input_output` column; raises `Unusable` where there is none to look at."""
    data = _object(text)
    inputs, outputs = data.get("inputs"), data.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise Unusable("bad_input_output", "inputs and outputs are not two lists", text)
    if len(inputs) != len(outputs):
        detail = f"{len(inputs)} inputs but {len(outputs)} outputs"
        raise Unusable("case_count_mismatch", detail, text)
    entry_point = _entry_point(data.get("fn_name"))
    if entry_point is None:
        return InputOutput(None, [_stdin_case(*pair) for pair in zip(inputs, outputs, strict=True)])
    if outputs and all(isinstance(output, list) and len(output) == 1 for output in outputs):
        outputs = [output[0] for output in outputs]
    return InputOutput(
        entry_point, [_call_case(*pair) for pair in zip(inputs, outputs, strict=True)]
    )


def example_inputs(statement: str, *, is_call: bool) -> frozenset[str]:
    """Fingerprints of what stands between the statement's "Input" and "Output" headings."""
    blocks = (match["input"] for match in _EXAMPLE.finditer(statement))
    if is_call:
        blocks = (_ARGUMENT_NAME.sub("", block) for block in blocks)
    return frozenset(_squeezed(block, is_call=is_call) for block in blocks) - {""}


def fingerprint(case_input: str, *, is_call: bool) -> str:
    """Of a test's input, to be looked up among `example_inputs`."""
    if not is_call:
        return _squeezed(json.loads(case_input), is_call=False)
    arguments = (json.dumps(argument, ensure_ascii=False) for argument in json.loads(case_input))
    return _squeezed(",".join(arguments), is_call=True)


def time_limit_s(text: str) -> float:
    """CPU seconds a test of TACO's text: twice the upper figure, within reason; 10 for none.

    "1 second" is 2.0; "2.0 - 3.0 seconds" is 6.0; "500 ms" is 2.0. Nonsense such as "10000
    seconds" would let one program hold a worker for hours, hence the upper bound.
    """
    figures = [float(number) for number in _NUMBER.findall(text)]
    if not figures:
        return DEFAULT_TIME_S
    is_milliseconds = "ms" in text.lower() or "milli" in text.lower()
    upper = max(figures) / (1000 if is_milliseconds else 1)
    return min(max(2 * upper, MIN_TIME_S), MAX_TIME_S)


def memory_limit_mb(text: str) -> int:
    """Of TACO's text ("256.0 megabytes"): never below what Python needs; 1024 for none."""
    amount = _AMOUNT.search(text.lower())
    if not amount:
        return DEFAULT_MEMORY_MB
    megabytes = float(amount[1]) * _MEGABYTES.get(amount[2], 1)
    return round(min(max(megabytes, MIN_MEMORY_MB), MAX_MEMORY_MB))


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unusable("bad_input_output", f"not JSON: {error}", text) from None
    if not isinstance(data, dict):
        detail = f"a JSON {type(data).__name__}, not an object"
        raise Unusable("bad_input_output", detail, text)
    return data


def _entry_point(name: object) -> str | None:
    if name is None or name == "":
        return None
    if isinstance(name, str) and name.isidentifier():
        return name
    raise Unusable("bad_input_output", f"fn_name is no function name: {name!r}")


def _stdin_case(raw_input: object, output: object) -> CaseText | Unusable:
    try:
        return CaseText(_json(_stdin_text(raw_input)), _json(_stdin_text(output)))
    except Unusable as fault:
        return fault


def _call_case(arguments: object, output: object) -> CaseText | Unusable:
    arguments = arguments if isinstance(arguments, list) else [arguments]
    try:
        return CaseText(_json(arguments), _json(output))
    except Unusable as fault:
        return fault


def _stdin_text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(_line(line) for line in value)
    return _line(value)


def _line(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Unusable("bad_case", f"a {type(value).__name__} where text is needed", repr(value)[:1000])


def _json(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise Unusable("bad_case", f"cannot be stored as JSON: {error}") from None
    return text


def _squeezed(text: str, *, is_call: bool) -> str:
    return ("" if is_call else " ").join(text.split())
