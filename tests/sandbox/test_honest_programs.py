"""Right programs that careless sandboxes fail: every one must run as under plain Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from textwrap import dedent

import pytest

from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput

RunOne = Callable[..., RunResult]

NUMBERS = b"3\n1 2 3\n"

STDIN_PROGRAMS = {
    "iterate_stdin": """
        import sys
        print(sum(int(t) for line in sys.stdin for t in line.split()))
        """,
    "buffer_readline": """
        import sys
        input = sys.stdin.buffer.readline
        n = int(input()); print(n + sum(map(int, input().split())))
        """,
    "open_0": """
        print(sum(map(int, open(0).read().split())))
        """,
    "os_read": """
        import os
        print(sum(map(int, os.read(0, 10**6).split())))
        """,
    "os_read_of_the_file_size": """
        import os
        print(sum(map(int, os.read(0, os.fstat(0).st_size).split())))
        """,
    "readlines": """
        import sys
        lines = sys.stdin.readlines()
        print(int(lines[0]) + sum(map(int, lines[1].split())))
        """,
    "fileinput": """
        import fileinput
        print(sum(int(t) for line in fileinput.input() for t in line.split()))
        """,
    "stdout_buffer": """
        import sys
        sys.stdout.buffer.write(str(sum(map(int, sys.stdin.read().split()))).encode())
        """,
    "os_write": """
        import os
        os.write(1, b"%d" % sum(map(int, open(0).read().split())))
        """,
    "print_flush_without_newline": """
        print(sum(map(int, open(0).read().split())), end="", flush=True)
        """,
    "own_buffered_stdout": """
        import atexit, io, os, sys
        out = io.BytesIO()
        sys.stdout = io.TextIOWrapper(out, write_through=True)
        atexit.register(lambda: os.write(1, out.getvalue()))
        print(sum(map(int, sys.stdin.buffer.read().split())))
        """,
    "file_left_open": """
        out = open(1, "w")
        out.write(str(sum(map(int, open(0).read().split()))))
        """,
    "module_level_global": """
        total = 0
        def add(x):
            global total
            total += x
        global unused
        for t in open(0).read().split(): add(int(t))
        print(total)
        """,
    "exit_in_a_function": """
        def solve():
            print(sum(map(int, open(0).read().split())))
            exit()
        solve()
        print("never")
        """,
    "quit": """
        print(sum(map(int, open(0).read().split())))
        quit()
        """,
    "sys_exit_zero": """
        import sys
        print(sum(map(int, open(0).read().split())))
        sys.exit(0)
        """,
    "name_with_exit": """
        def is_exit(x): return x > 5
        total = sum(map(int, open(0).read().split()))
        print(total if is_exit(total) else 0)
        """,
    "main_guard_with_else": """
        def main(): print(sum(map(int, open(0).read().split())))
        if __name__ == "__main__":
            main()
        else:
            print("imported")
        """,
    "thread_with_a_big_stack": """
        import sys, threading
        def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
        def main(): print(depth(100000) - 100000 + sum(map(int, open(0).read().split())))
        sys.setrecursionlimit(10**6)
        threading.stack_size(2**29)
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
        """,
    "thread_not_joined": """
        import threading, time
        def late():
            time.sleep(0.05)
            print(sum(map(int, open(0).read().split())))
        threading.Thread(target=late).start()
        """,
    "deep_recursion_through_c": """
        import sys
        from functools import lru_cache
        sys.setrecursionlimit(10**6)
        @lru_cache(None)
        def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
        print(depth(50000) - 50000 + sum(map(int, open(0).read().split())))
        """,
    "deep_depth_first_search": """
        import sys
        sys.setrecursionlimit(10**6)
        graph = [[i + 1] for i in range(200000)] + [[]]
        seen = 0
        def visit(node):
            global seen
            seen += 1
            for after in graph[node]: visit(after)
        visit(0)
        print(seen - 200001 + sum(map(int, open(0).read().split())))
        """,
    "many_digits": """
        x = 7**20000
        assert int(str(x)) == x
        print(sum(map(int, open(0).read().split())))
        """,
    "usual_imports": """
        import numpy, itertools, heapq, bisect, decimal, fractions, statistics, re, string, array
        import functools, collections, operator, math, random, copy, json, datetime, typing, queue
        print(int(numpy.array(open(0).read().split(), dtype=numpy.int64).sum()))
        """,
    "star_import_shadows_pow": """
        from math import *
        assert pow(2, 3) == 8.0 and isinstance(pow(2, 3), float)
        print(sum(map(int, open(0).read().split())))
        """,
    "dataclasses_asyncio_generators": """
        import asyncio, dataclasses, functools, multiprocessing
        @dataclasses.dataclass(order=True)
        class Item:
            value: int
        @functools.lru_cache(maxsize=None)
        def same(x): return x
        def items():
            for t in open(0).read().split(): yield Item(int(t))
        async def main(): return sum([same(item.value) for item in items()])
        print(asyncio.run(main()))
        """,
    "random_and_time": """
        import random, time
        started = time.time()
        while time.time() - started < 0.05: random.random()
        print(sum(map(int, open(0).read().split())))
        """,
    "predefined_names": """
        assert gcd(4, 6) == 2 and np.sum([1]) == 1 and heappop([1]) == 1 and Counter("a")["a"] == 1
        x: List[int] = [int(t) for t in open(0).read().split()]
        y: Optional[int] = list(accumulate(x))[-1]
        print(y)
        """,
    "pickle_of_an_own_class": """
        import pickle, copy
        class Node:
            def __init__(self, value): self.value = value
        node = pickle.loads(pickle.dumps(Node(sum(map(int, open(0).read().split())))))
        print(copy.deepcopy(node).value)
        """,
    "signal_handler_in_the_main_thread": """
        import signal
        signal.signal(signal.SIGALRM, lambda *_: None)
        print(sum(map(int, open(0).read().split())))
        """,
    "stderr_chatter": """
        import sys
        print("debug", file=sys.stderr)
        print(sum(map(int, open(0).read().split())))
        """,
    "invalid_escape": r"""
        import re
        print(len(re.findall('\d', open(0).read())) + 5)
        """,
}


@pytest.mark.parametrize("name", STDIN_PROGRAMS)
def test_stdin_program(run_one: RunOne, name: str) -> None:
    result = run_one(dedent(STDIN_PROGRAMS[name]), NUMBERS)
    assert result.status is RunStatus.OK, result
    assert result.stdout.strip() == b"9"
    assert result.exit_code == 0


CALL_PROGRAMS = {
    "function": ("def f(a, b): return a + b", [2, 3], 5),
    "method": (
        """
        class Helper:
            class Inner:
                def add(self, a, b): return a + b
        class Solution:
            def __init__(self): self.calls = 0
            def f(self, a: int, b: int) -> int:
                self.calls += 1
                return Helper.Inner().add(a, b)
        """,
        [2, 3],
        5,
    ),
    "predefined_types": (
        """
        class Solution:
            def f(self, xs: List[int], k: Optional[int]) -> Dict[str, List[Tuple[int, ...]]]:
                return {"a": xs[:k]}
        """,
        [[1, 2, 3], 2],
        {"a": [1, 2]},
    ),
    "list_node_helpers": (
        """
        class ListNode:
            def __init__(self, val=0, next=None): self.val, self.next = val, next
        class TreeNode:
            def __init__(self, val=0): self.val, self.left, self.right = val, None, None
        def f(xs):
            head = None
            for x in xs: head = ListNode(x, head)
            out = []
            while head: out.append(TreeNode(head.val).val); head = head.next
            return out
        """,
        [[1, 2, 3]],
        [3, 2, 1],
    ),
    "arguments_changed_in_place": (
        "def f(xs):\n    xs.sort()\n    return xs",
        [[3, 1, 2]],
        [1, 2, 3],
    ),
    "main_guard_reads_stdin": (
        "def f(a): return a\nif __name__ == '__main__':\n    print(f(int(input())))",
        [1],
        1,
    ),
    "prints_too": ("def f(a):\n    print('debug')\n    return a", [1], 1),
    "returns_none": ("def f(a): pass", [1], None),
    "returns_a_tuple": ("def f(a): return (a, a)", [1], (1, 1)),
    "returns_numpy": (
        "def f(a): return [np.int64(a), np.arange(2), np.float64(0.5)]",
        [1],
        [1, [0, 1], 0.5],
    ),
    "returns_a_defaultdict": (
        "def f(a):\n    d = defaultdict(list)\n    d[a].append(a)\n    return d",
        [1],
        {"1": [1]},
    ),
    "returns_a_long_integer": ("def f(a): return a ** 9000", [7], 7**9000),
    "lambda": ("f = lambda a: a + 1", [1], 2),
}


@pytest.mark.parametrize("name", CALL_PROGRAMS)
def test_call_program(run_one: RunOne, name: str) -> None:
    program, arguments, value = CALL_PROGRAMS[name]
    call = CallInput(entry_point="f", arguments=json.dumps(arguments).encode())
    result = run_one(dedent(program), call)
    assert result.status is RunStatus.OK, result
    assert result.value == value
    assert type(result.value) is type(value)


def test_empty_stdin(run_one: RunOne) -> None:
    assert run_one("import sys; print(repr(sys.stdin.read()))").stdout == b"''\n"
    assert run_one("try:\n    input()\nexcept EOFError:\n    print('end')").stdout == b"end\n"


def test_empty_lines_in_the_middle(run_one: RunOne) -> None:
    program = "print([input() for _ in range(4)])"
    assert run_one(program, b"a\n\n\nb\n").stdout == b"['a', '', '', 'b']\n"


@pytest.mark.parametrize("read", ["sys.stdin.read()", "sys.stdin.buffer.read()", "open(0).read()"])
def test_fifty_megabytes_of_stdin(run_one: RunOne, read: str) -> None:
    given = b"123456789\n" * 5_000_000
    result = run_one(f"import sys; print(len({read}))", given)
    assert result.status is RunStatus.OK, result
    assert result.stdout == b"50000000\n"


def test_ten_megabytes_of_stdout(run_one: RunOne) -> None:
    program = "import sys\nfor i in range(10**6): sys.stdout.write('%09d\\n' % i)"
    result = run_one(program)
    assert result.status is RunStatus.OK, result
    assert result.stdout == b"".join(b"%09d\n" % i for i in range(10**6))


def test_more_than_a_pipe_of_output(run_one: RunOne) -> None:
    result = run_one("print('x' * 70_000)")
    assert result.stdout == b"x" * 70_000 + b"\n"


def test_a_large_returned_value(run_one: RunOne) -> None:
    call = CallInput(entry_point="f", arguments=b"[200000]")
    assert run_one("def f(n): return list(range(n))", call).value == list(range(200_000))


def test_an_input_that_is_never_read(run_one: RunOne) -> None:
    assert run_one("print(1)", b"x" * 10_000_000).stdout == b"1\n"


@pytest.mark.parametrize(
    ("source", "stdout"),
    [
        ("# coding: latin-1\nprint(len('\u00e9'))", b"2\n"),
        ("# -*- coding: utf-8 -*-\nprint('\u00e9')", b"\xc3\xa9\n"),
        ("\ufeffprint(1)", b"1\n"),
        ("if 1:\r\n    print(1)\r\n", b"1\n"),
        ("if 1:\n\tprint(1)", b"1\n"),
        ("\x0cprint(1)", b"1\n"),
        ("from __future__ import annotations\nprint(1)", b"1\n"),
        ("print(__name__, '__file__' in globals())", b"__main__ False\n"),
    ],
)
def test_source_text_means_what_it_does_in_a_file(
    run_one: RunOne, source: str, stdout: bytes
) -> None:
    assert run_one(source).stdout == stdout


def test_the_limit_on_cpu_time_is_used_up_to_its_end(run_one: RunOne) -> None:
    program = "import time\nwhile time.process_time() < 0.85: pass\nprint(1)"
    result = run_one(program, b"", Limits(cpu_time_s=1))
    assert result.status is RunStatus.OK, result
    assert 0.8 < result.cpu_s < 1


def test_sleeping_below_the_wall_limit_costs_no_cpu_time(run_one: RunOne) -> None:
    result = run_one("import time; time.sleep(1.2); print(1)", b"", Limits(cpu_time_s=0.5))
    assert result.status is RunStatus.OK, result
    assert result.cpu_s < 0.3


def test_each_test_starts_afresh(sandbox: Sandbox) -> None:
    program = dedent(
        """
        import math, random
        class Counter_: calls = 0
        seen = []
        Counter_.calls += 1
        seen.append(input())
        print(Counter_.calls, seen, hasattr(math, "marker"))
        math.marker = True
        """
    )
    results = sandbox.run(program, [StdinInput(b"a\n"), StdinInput(b"b\n")], Limits(cpu_time_s=2))
    assert [result.stdout for result in results] == [b"1 ['a'] False\n", b"1 ['b'] False\n"]


def test_each_test_draws_its_own_random_numbers(sandbox: Sandbox) -> None:
    program = "import random; print(random.random(), np.random.random())"
    inputs = [StdinInput(b"")] * 2
    first, second = (
        result.stdout.split() for result in sandbox.run(program, inputs, Limits(cpu_time_s=2))
    )
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_the_order_of_a_set_is_the_same_everywhere(sandbox: Sandbox) -> None:
    program = "print(list({'a', 'b', 'c', 'd', 'e'}))"
    with Sandbox() as other:
        outputs = {
            next(slot.run(program, [StdinInput(b"")], Limits(cpu_time_s=2))).stdout
            for slot in (sandbox, other)
        }
    assert len(outputs) == 1
