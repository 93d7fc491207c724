"""The offline annotator: short comments before the steps of a program, from its syntax tree.

It knows the idioms of mini-TACO (reading, filtering, changing, aggregating numbers) and names them
in the words of the statements, so that a small model that learns to write the comment has made
the choice before it writes the code. Other programs get what fits. It only adds lines, never
changes code, and gives the same comments every time.
"""

from __future__ import annotations

import ast
import re

from codeprm.reasoning import same_syntax
from codeprm.syntax import parse_program

Phrases = tuple[tuple[re.Pattern[str], str], ...]


def _phrases(*pairs: tuple[str, str]) -> Phrases:
    return tuple((re.compile(pattern), phrase) for pattern, phrase in pairs)


# matched against the unparsed condition, expression or value; the first that fits is used
_CONDITIONS = _phrases(
    (r"\w+ % 2 == 0", "even"),
    (r"\w+ % 2 (?:== 1|!= 0)", "odd"),
    (r"\w+ % (\d+) == 0", r"multiples of \1"),
    (r"\w+ > 0", "positive"),
    (r"\w+ < 0", "negative"),
    (r"\w+ > (\d+)", r"greater than \1"),
    (r"\w+ >= (\d+)", r"at least \1"),
    (r"\w+ < (\d+)", r"less than \1"),
    (r"\w+ <= (\d+)", r"at most \1"),
)
_CHANGES = _phrases(
    (r"(\w+) \* \1 \* \1|\w+ \*\* 3", "cube"),
    (r"([a-z]\w*) \* \1|\w+ \*\* 2", "square"),
    (r"\w+ \* 2|2 \* \w+", "double"),
    (r"-\w+", "negate"),
    (r"\w+ \+ (\d+)", r"add \1"),
    (r"\w+ - (\d+)", r"subtract \1"),
    (r"\w+ % (\d+)", r"modulo \1"),
    (r"\w+ // 2", "halve"),
)
_ANSWERS = _phrases(
    (r"sum\(.*", "take the sum"),
    (r"max\((\w+)\) \+ min\(\1\).*", "take largest plus smallest"),
    (r"max\(.*", "take the largest"),
    (r"min\(.*", "take the smallest"),
    (r"len\(.*", "count them"),
    (r"\w+\[0\].*", "take the first"),
    (r"\w+\[-1\].*", "take the last"),
    (r"sorted\(.*", "sort"),
    (r"\w+\[::-1\]", "reverse"),
)
_READS = re.compile(r"\b(?:input\(|sys\.stdin|open\(0)")
_OR_ZERO = re.compile(r"default=0\)$| if \w+ else 0$")


def annotate_program(program: str) -> str:
    """The program with a comment line before each step that is known; unchanged if none is."""
    tree = parse_program(program)
    if tree is None:
        return program
    lines = program.split("\n")
    comments: dict[int, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        row = node.lineno - 1
        indent = lines[row].encode()[: node.col_offset].decode()
        is_commented = row > 0 and lines[row - 1].lstrip().startswith("#")
        comment = _comment(node)
        if comment and not indent.strip() and not is_commented:
            comments.setdefault(row, f"{indent}# {comment}")
    annotated = "\n".join(
        text
        for row, line in enumerate(lines)
        for text in ((comments[row], line) if row in comments else (line,))
    )
    return annotated if same_syntax(program, annotated) else program


def _comment(node: ast.stmt) -> str:
    """What a statement does, in at most eight words; "" if that is not worth saying."""
    match node:
        case ast.For(iter=ast.Call(func=ast.Name(id="range"))):
            return "repeat"
        case ast.For():
            return "go through the numbers"
        case ast.While():
            return "repeat while it holds"
        case ast.If(test=test):
            return _kept(ast.unparse(test)) or "check the condition"
        case ast.Assign(value=value):
            return _assigned(value)
        case ast.AugAssign(op=ast.Add(), value=value):
            return _joined(_phrase(_CHANGES, ast.unparse(value)), "add to the sum")
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return "print the answer"
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append"), args=[value])):
            return _appended(value)
        case ast.Return():
            return "return the answer"
    return ""


def _assigned(value: ast.expr) -> str:
    text = ast.unparse(value)
    if _READS.search(text):
        return "read the count" if text == "int(input())" else "read the numbers"
    match value:
        case ast.ListComp(elt=element, generators=[ast.comprehension(ifs=[test])]):
            kept = _kept(ast.unparse(test))
            return _joined(kept or "keep some", _phrase(_CHANGES, ast.unparse(element)))
        case ast.ListComp(elt=element):
            change = _phrase(_CHANGES, ast.unparse(element))
            return f"{change} each" if change else "make a list"
    answer = _phrase(_ANSWERS, text)
    if answer:
        return answer + (", 0 if none" if _OR_ZERO.search(text) else "")
    return _phrase(_CHANGES, text)


def _appended(value: ast.expr) -> str:
    text = ast.unparse(value)
    if _READS.search(text):
        return "read a number"
    return _phrase(_CHANGES, text) or "collect it"


def _kept(condition: str) -> str:
    phrase = _phrase(_CONDITIONS, condition)
    return f"keep {phrase}" if phrase else ""


def _joined(first: str, second: str) -> str:
    return f"{first}, {second}" if first and second else first or second


def _phrase(phrases: Phrases, text: str) -> str:
    for pattern, phrase in phrases:
        match = pattern.fullmatch(text)
        if match:
            return match.expand(phrase)
    return ""
