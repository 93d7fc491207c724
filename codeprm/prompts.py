"""Statement -> prompt, and model text -> program.

A style is a pair of pure functions. `docstring` is the one that base models are fine-tuned on:
the statement stands in a module docstring, the starter code follows, the model writes the rest.
`chat` asks an instruction-tuned model for one fenced block.

The token rule, shared by training, sampling, scoring and serving: the prompt and what follows it
are tokenised apart and their ids joined, without special tokens in between. So the prompt's ids
are the same in front of every completion, and no merge crosses the boundary.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import NamedTuple

from codeprm.errors import ConfigError
from codeprm.records import Problem


class Message(NamedTuple):
    """One turn of a chat; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Prompt = str | tuple[Message, ...]


class PromptStyle(NamedTuple):
    """How to ask, and how to read the answer."""

    build: Callable[[str, str], Prompt]
    extract: Callable[[str, str], str]


_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def docstring_prompt(statement: str, starter_code: str) -> str:
    r'''`"""\nSTATEMENT\n"""\nSTARTER`; inner triple quotes are escaped so the module parses.'''
    body = statement.strip().replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    starter = starter_code.rstrip()
    return f'"""\n{body}\n"""\n' + (f"{starter}\n" if starter else "")


def chat_prompt(statement: str, starter_code: str) -> tuple[Message, ...]:
    """A system line and the statement; the answer is expected in one fenced block."""
    system = "You solve programming problems. Answer with one complete Python program in a fence."
    starter = f"\n\nStart from this code:\n```python\n{starter_code}\n```" if starter_code else ""
    return (Message("system", system), Message("user", statement.strip() + starter))


def continued_program(text: str, starter_code: str) -> str:
    """The program of a continuation: the text, behind the starter code if only so it parses."""
    program = text.rstrip()
    if not starter_code or _parses(program) or not _parses(f"{starter_code.rstrip()}\n{program}"):
        return program
    return f"{starter_code.rstrip()}\n{program}"


def fenced_program(text: str, starter_code: str) -> str:
    """The last fenced block of an answer; the whole answer where it is bare code; else ""."""
    blocks = _FENCE.findall(text)
    if blocks:
        return continued_program(blocks[-1], starter_code)
    return text.strip() if _parses(text.strip()) else ""


def prompt_style(name: str) -> PromptStyle:
    """The style of that name; an unknown name lists the known ones."""
    if name not in PROMPT_STYLES:
        raise ConfigError(f"no prompt style {name!r}: choose one of {', '.join(PROMPT_STYLES)}")
    return PROMPT_STYLES[name]


def problem_prompt(problem: Problem, style: str = "docstring") -> Prompt:
    """The prompt of a problem in a style."""
    return prompt_style(style).build(problem.statement, problem.starter_code)


def _parses(program: str) -> bool:
    try:
        ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


PROMPT_STYLES: dict[str, PromptStyle] = {
    "docstring": PromptStyle(docstring_prompt, continued_program),
    "chat": PromptStyle(chat_prompt, fenced_program),
}
