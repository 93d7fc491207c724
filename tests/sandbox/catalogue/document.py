"""The tables of docs/attacks.md, made from the rows.

python -m tests.sandbox.catalogue.document    writes them into the page
"""

from __future__ import annotations

from pathlib import Path

from codeprm.records import Outcome
from codeprm.sandbox.levels import Level
from tests.sandbox.catalogue.row import GROUPS, Row
from tests.sandbox.catalogue.table import ROWS

PAGE = Path(__file__).parents[3] / "docs" / "attacks.md"
TITLES = {
    "A": "Processes and CPU time",
    "B": "Memory, stack, compiler",
    "C": "Output and files",
    "D": "Network and IPC",
    "E": "Escape and privilege",
    "F": "What can be learned",
    "G": "Cheating the grader",
    "H": "Protocol and encoding",
    "I": "Time, load and faults of ours",
    "J": "Honest but tricky",
}
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def tables() -> str:
    """One a group, a line a row."""
    parts = []
    for group in GROUPS:
        lines = [f"### {group}. {TITLES[group]}\n", "| row | what | outcome | layers |"]
        lines += ["|---|---|---|---|", *(_line(row) for row in ROWS if row.group == group)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def page_with(page: str, inside: str) -> str:
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{inside}\n{END}{rest.partition(END)[2]}"


def _line(row: Row) -> str:
    name = row.name.replace("|", "\\|").replace("\n", " ")
    return f"| {row.id} | {name} | {_outcomes(row)} | {' '.join(sorted(row.layers))} |"


def _outcomes(row: Row) -> str:
    usual, weakest = (row.expected[level] for level in (Level.F0, Level.F2))
    text = _named(usual)
    return text if usual == weakest else f"{text}; F2: {_named(weakest)}"


def _named(outcomes: frozenset[Outcome]) -> str:
    return " or ".join(f"`{outcome}`" for outcome in sorted(outcomes))


def main() -> None:
    PAGE.write_text(page_with(PAGE.read_text(), tables()))


if __name__ == "__main__":
    main()
