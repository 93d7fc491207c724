"""The looks before installation: a machine that will not do is told so in one sentence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import install

GIB = install.GIB
GOOD: dict[str, Any] = {"system": "Linux", "machine": "x86_64", "version": (3, 12), "libc": "glibc"}


def test_a_right_machine_passes() -> None:
    install.check_machine(**GOOD)
    install.check_venv(object(), object())
    install.check_room(disk=10 * GIB, memory=int(7.6 * GIB))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"version": (3, 13)}, "needs Python 3.11 or 3.12, and this is 3.13"),
        ({"system": "Darwin", "machine": "arm64", "libc": ""}, "this is Darwin arm64"),
        ({"machine": "aarch64"}, "this is Linux aarch64"),
        ({"libc": "musl"}, "with glibc"),
    ],
)
def test_a_wrong_machine_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(install.Refusal) as refusal:
        install.check_machine(**{**GOOD, **wrong})
    assert said in str(refusal.value)


@pytest.mark.parametrize("missing", [(None, object()), (object(), None)])
def test_missing_venv_names_the_package(missing: tuple[object, object]) -> None:
    with pytest.raises(install.Refusal, match="apt install python3-venv"):
        install.check_venv(*missing)


@pytest.mark.parametrize(
    ("disk_gib", "memory_gib", "said"),
    [(9.9, 16, "has 9.9 GiB free"), (50, 7, "gives 7.0 GiB of memory")],
)
def test_too_small_a_machine_is_refused(disk_gib: float, memory_gib: float, said: str) -> None:
    with pytest.raises(install.Refusal) as refusal:
        install.check_room(disk=int(disk_gib * GIB), memory=int(memory_gib * GIB))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_memory_is_read() -> None:
    assert 1 * GIB < install.memory_bytes() < 1 << 50


def run_chooser(tmp_path: Path, **versions: str) -> subprocess.CompletedProcess[str]:
    """install.sh with stand-in interpreters that tell their version, or what they were given."""
    for name, version in versions.items():
        script = tmp_path / name.replace("_", ".")
        script.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo {version} || echo "$0 runs $1"\n')
        script.chmod(0o755)
    shell = Path(install.__file__).with_name("install.sh")
    # dirname is all that the chooser itself calls.
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("PYTHON", None)
    return subprocess.run(["/bin/sh", str(shell)], env=environment, capture_output=True, text=True)


def test_chooser_takes_the_first_right_python(tmp_path: Path) -> None:
    done = run_chooser(tmp_path, python3_12="3.12", python3="3.13")
    assert done.returncode == 0
    assert "python3.12 runs " in done.stdout
    assert done.stdout.strip().endswith("install.py")


def test_chooser_names_what_it_found(tmp_path: Path) -> None:
    done = run_chooser(tmp_path, python3="3.9")
    assert done.returncode == 2
    assert done.stderr.startswith("error: codeprm needs Python 3.11 or 3.12, but python3 is 3.9;")
    assert done.stderr.count("\n") == 1


def test_chooser_without_any_python(tmp_path: Path) -> None:
    done = run_chooser(tmp_path)
    assert done.returncode == 2
    assert "there is no Python here" in done.stderr
