"""What is imported before any program runs, and the names that programs find predefined.

Loading a module after the fork costs a test more than the fork; but each fork copies the page
tables of all that is loaded. So what is large and rare stays out (asyncio), and numpy, which
doubles the cost of a fork, is only in the zygotes of programs that mention it. numpy.random stays
out of those too: it would hand every test the same random numbers.
"""

from __future__ import annotations

import importlib
import re
import sys
from enum import StrEnum
from types import ModuleType

MODULES = (
    "array", "bisect", "cmath", "collections.abc", "contextlib", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "heapq", "io", "itertools", "json", "math",
    "numbers", "operator", "os.path", "queue", "random", "re", "statistics", "string", "struct",
    "time", "traceback", "types", "typing", "unicodedata", "warnings", "zlib", "encodings.ascii",
    "encodings.latin_1",
)  # fmt: skip

# Those of CodeRM's import header and the type names that starter code of call-style problems is
# written with. They are builtins here: a program's own names start empty, and shadow them.
PREDEFINED = {
    "": ("sys", "time", "itertools", "collections", "math", "fractions", "random", "heapq"),
    "itertools": ("accumulate", "product", "permutations", "combinations"),
    "collections": ("Counter", "OrderedDict", "deque", "defaultdict", "ChainMap"),
    "functools": ("lru_cache",),
    "math": (
        "sqrt", "sin", "cos", "tan", "ceil", "fabs", "floor", "gcd", "exp", "log", "log2",
    ),
    "heapq": (
        "heappush", "heappop", "heapify", "heapreplace", "merge", "nlargest", "nsmallest",
        "heappushpop",
    ),
    "typing": (
        "Any", "Callable", "Dict", "Generator", "Iterable", "Iterator", "List", "Optional",
        "Sequence", "Set", "Tuple", "Union",
    ),
}  # fmt: skip

MENTIONS_NUMPY = re.compile(r"\b(?:np|numpy|scipy|pandas)\b")


class Preload(StrEnum):
    """What a zygote has loaded."""

    PLAIN = "plain"
    NUMPY = "numpy"


def preload_for(program: str) -> Preload:
    """A guess: what is not loaded can still be imported, more slowly."""
    return Preload.NUMPY if MENTIONS_NUMPY.search(program) else Preload.PLAIN


def load(what: str) -> None:
    """Import all that a zygote of this kind holds."""
    for name in MODULES:
        importlib.import_module(name)
    if what == Preload.NUMPY:
        importlib.import_module("numpy")


def predefined() -> dict[str, object]:
    """Name -> module, function or type; `np` where numpy is loaded."""
    names: dict[str, object] = {}
    if "numpy" in sys.modules:
        names["np"] = sys.modules["numpy"]
    for module, members in PREDEFINED.items():
        for member in members:
            found: ModuleType | object
            if module:
                found = getattr(importlib.import_module(module), member)
            else:
                found = importlib.import_module(member)
            names[member] = found
    return names
