"""Group J: honest but tricky programs. Most are those of `test_honest_programs`, at every level."""

from __future__ import annotations

from textwrap import dedent

from tests.sandbox.catalogue.row import PASSED, ROOMY, WRONG, Repeat, Row, layers
from tests.sandbox.test_honest_programs import CALL_PROGRAMS, NUMBERS, STDIN_PROGRAMS

STDIN_NAMES = {
    109: ("iterate_stdin",),
    110: ("buffer_readline",),
    111: ("open_0", "os_read", "os_read_of_the_file_size", "readlines", "fileinput"),
    112: (
        "stdout_buffer", "os_write", "print_flush_without_newline", "own_buffered_stdout",
        "file_left_open", "stderr_chatter",
    ),
    113: ("module_level_global", "exit_in_a_function", "quit", "sys_exit_zero", "name_with_exit"),
    114: ("main_guard_with_else",),
    115: ("thread_with_a_big_stack", "thread_not_joined"),
    116: ("deep_recursion_through_c", "deep_depth_first_search"),
    117: ("many_digits",),
    118: ("usual_imports", "invalid_escape"),
    119: ("star_import_shadows_pow",),
    120: (
        "dataclasses_asyncio_generators", "pickle_of_an_own_class",
        "signal_handler_in_the_main_thread",
    ),
    122: ("random_and_time",),
    123: ("predefined_names",),
}  # fmt: skip
CALL_NAMES = {
    117: ("returns_a_long_integer",),
    123: (
        "function", "method", "predefined_types", "list_node_helpers", "main_guard_reads_stdin",
        "prints_too", "lambda", "arguments_changed_in_place",
    ),
    125: ("returns_none", "returns_a_tuple", "returns_numpy", "returns_a_defaultdict"),
}  # fmt: skip

AFRESH = """
import math
class Counter_: calls = 0
seen = []
Counter_.calls += 1
seen.append(input())
print(Counter_.calls, seen, hasattr(math, "marker"))
math.marker = True
"""
LINES = "print([input() for _ in range(4)])"


def numbered() -> list[tuple[int, str, bool]]:
    """(number of the row, name of the program, whether it is called)."""
    stdin = [(number, name, False) for number, names in STDIN_NAMES.items() for name in names]
    called = [(number, name, True) for number, names in CALL_NAMES.items() for name in names]
    return sorted(stdin + called, key=lambda entry: (entry[0], entry[2]))


def rows() -> list[Row]:
    made: list[Row] = []
    for number, name, called in numbered():
        letter = chr(ord("a") + sum(row.number == number for row in made))
        program, given, wanted = (
            CALL_PROGRAMS[name] if called else (STDIN_PROGRAMS[name], NUMBERS.decode(), "9")
        )
        made.append(
            Row(
                id=f"{number}{letter}",
                name=name.replace("_", " "),
                program=dedent(program),
                entry_point="f" if called else None,
                cases=((given, wanted),),
                expected=PASSED,
                limits=ROOMY,
                layers=layers("zygote protocol"),
            )
        )
    return made


ROWS = (
    *rows(),
    Row(
        id="121",
        name="each test starts afresh",
        program=AFRESH,
        cases=(("a\n", "1 ['a'] False"), ("b\n", "1 ['b'] False")),
        expected=PASSED,
        layers=layers("zygote"),
    ),
    Row(
        id="124a",
        name="no input",
        program="import sys\nprint(repr(sys.stdin.read()))",
        cases=(("", "''"),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="124b",
        name="empty lines",
        program=LINES,
        cases=(("a\n\n\nb\n", "['a', '', '', 'b']"),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="124c",
        name="50 MB of input",
        program="import sys\nprint(len(sys.stdin.read()))",
        cases=((Repeat("123456789\n", 5_000_000), "50000000"),),
        expected=PASSED,
        limits=ROOMY,
        layers=layers("protocol"),
    ),
    Row(
        id="125e",
        name="a set is no list",
        program="def f(): return {1, 2}",
        entry_point="f",
        cases=(([], [1, 2]),),
        expected=WRONG,
        layers=layers("protocol"),
    ),
)
