"""Program text -> syntax tree, for text that nobody has vetted."""

from __future__ import annotations

import ast
import warnings


def parse_program(program: str) -> ast.Module | None:
    """The syntax tree; None where Python would refuse the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
