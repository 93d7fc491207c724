"""What the documents name exists, and scripts/check.py sees the faults that it is there for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import check

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", ".ci/run")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_make_targets_exist(document: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)(?=[`\s]|$)", code_of(document)))
    assert named
    assert named <= TARGETS


@pytest.mark.parametrize("document", [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))])
def test_named_jobs_exist(document: Path) -> None:
    named = set(re.findall(r"\bjobs/(\w+\.py)", document.read_text()))
    assert named <= {path.name for path in (ROOT / "jobs").glob("*.py")}


def code_of(document: Path) -> str:
    """Fenced and inline code: prose may say `make` without meaning a target."""
    text = document.read_text()
    if document.suffix != ".md":
        return text
    pieces = re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    return "\n".join(fenced or inline for fenced, inline in pieces)


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony
    assert explained == set(phony[1].split()) == TARGETS


@pytest.mark.parametrize(
    ("changelog", "faults"),
    [
        ("# Changelog\n\n## Unreleased\n\n- x\n", 0),
        ("## Unreleased\n## 0.1.0 - 2026-01-01\n", 0),
        ("## [Unreleased]\n## [0.2.0] - 2026-01-01\n## [0.1.0]\n", 1),
        ("## 0.1.0\n", 1),
    ],
)
def test_changelog_and_version_agree(changelog: str, faults: int) -> None:
    assert len(list(check.changelog_faults(changelog, "0.1.0"))) == faults


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cd /" + "home/alice/codeprm", True),
        ("cd /" + "root/x", True),
        ("COPY x /home/ray/x", False),
        ("https://example.com/" + "opt/x", False),
        ("pip install --index-url " + "https://mirror.example/simple x", True),
        ("--index-url " + "https://download.pytorch.org/whl/cpu", False),
    ],
)
def test_paths_and_indexes_of_one_machine_are_seen(line: str, fault: bool) -> None:
    assert bool(list(check.text_faults(line))) == fault
