"""What the repository promises of itself and no linter knows; one line a fault, exit code 1.

- The newest release in CHANGELOG.md is `codeprm.__version__`, and `## Unreleased` comes first.
- No file names a path of somebody's machine.
- No file names a package index but PyTorch's own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HEADING = re.compile(r"^## (?:\[)?([^\]\s]+)", re.MULTILINE)
VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
# The one home that may be named is that of the container's user, made in deploy/Dockerfile.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home/(?!ray\b)\w|root/|opt/|work/|Users/)[\w./-]*")
INDEX = re.compile(r"(?:index[-_]url|find[-_]links)[\"',=\s]+(\w+://[^\s\"']+)", re.IGNORECASE)
OUR_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> int:
    faults = list(changelog_faults((ROOT / "CHANGELOG.md").read_text(), package_version()))
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # a picture or an archive
            continue
        faults += [f"{path.relative_to(ROOT)}:{fault}" for fault in text_faults(text)]
    print("\n".join(faults) or f"{Path(__file__).name}: all well")
    return 1 if faults else 0


def changelog_faults(changelog: str, version: str) -> Iterator[str]:
    headings = HEADING.findall(changelog)
    if headings[:1] != ["Unreleased"]:
        yield "CHANGELOG.md: the first section must be '## Unreleased'"
    if headings[1:] and headings[1] != version:
        yield f"CHANGELOG.md: newest release is {headings[1]}, codeprm.__version__ is {version}"


def text_faults(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        for match in MACHINE_PATH.finditer(line):
            yield f"{number}: a path of one machine: {match[0]}"
        for match in INDEX.finditer(line):
            if match[1].rstrip("/.,;:)`") != OUR_INDEX:
                yield f"{number}: a package index: {match[1]}"


def package_version() -> str:
    match = VERSION.search((ROOT / "codeprm" / "__init__.py").read_text())
    assert match is not None
    return match[1]


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
