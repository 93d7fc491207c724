"""Unit tests are pure: starting Ray, opening a connection or sleeping fails the test."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from codeprm.evaluation.report import Report


@pytest.fixture(autouse=True)
def pure(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not `socket.socket` itself: an event loop makes a socket pair to wake itself.
    for method in ("bind", "connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, method, refuse(f"socket.{method}"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse("socket.getaddrinfo"))
    monkeypatch.setattr(time, "sleep", refuse("time.sleep"))
    if "ray" in sys.modules:
        monkeypatch.setattr("ray.init", refuse("ray.init"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report with every part, made once for all who look at one."""
    from tests.small_run import small_report

    return small_report(tmp_path_factory.mktemp("small"))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For reports whose figures nobody looks at: drawing them is most of the time they take."""
    monkeypatch.setattr("codeprm.evaluation.page.files.draw_charts", lambda charts: [])


def refuse(name: str) -> Callable[..., NoReturn]:
    def raises(*_: object, **__: object) -> NoReturn:
        pytest.fail(f"{name} in a unit test: move it to tests/sandbox or tests/ray", pytrace=True)

    return raises
