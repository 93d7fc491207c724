"""Rows 46, 48, 52 and 68 against services that live beside the sandbox, such as a Ray.

    python -m tests.sandbox.catalogue.beside '{"tcp": ["127.0.0.1 6379"], "unix": ["/run/socket"]}'

Prints what programs met in there as one JSON object; `reached` says what is there without one.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from typing import TypedDict

from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, StdinInput
from tests.sandbox.catalogue.checks import OPEN_DESCRIPTORS
from tests.sandbox.catalogue.leaks import ENVIRONMENT
from tests.sandbox.catalogue.network import CONNECT, UNIX

LIMITS = Limits(cpu_time_s=2, memory_mb=256)
TCP_REFUSED = "EPERM EPERM"
UNIX_REFUSED = "EPERM EPERM EPERM"


class Services(TypedDict):
    """`tcp`: "host port"; `unix`: paths."""

    tcp: list[str]
    unix: list[str]


class Met(TypedDict):
    """What programs printed: by service, and what they were given without asking."""

    level: str
    tcp: dict[str, str]
    unix: dict[str, str]
    environment: str
    descriptors: str


def attack(services: Services) -> Met:
    """From this process, with all that it holds."""
    with Sandbox() as slot:
        return Met(
            level=slot.level,
            tcp={address: _printed(slot, CONNECT, address) for address in services["tcp"]},
            unix={path: _printed(slot, UNIX, path) for path in services["unix"]},
            environment=_printed(slot, ENVIRONMENT, "no such-words"),
            descriptors=_printed(slot, OPEN_DESCRIPTORS, ""),
        )


def reached(services: Services) -> Services:
    """Those that a plain process of this machine can connect to."""
    tcp = [address for address in services["tcp"] if _connects(socket.AF_INET, *address.split())]
    return Services(tcp=tcp, unix=[path for path in services["unix"] if _connects_path(path)])


def _connects(family: int, host: str, port: str) -> bool:
    with socket.socket(family) as client:
        client.settimeout(5)
        return client.connect_ex((host, int(port))) == 0


def _connects_path(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        return client.connect_ex(path) == 0


def _printed(slot: Sandbox, program: str, given: str) -> str:
    result = next(slot.run(program, [StdinInput(given.encode())], LIMITS))
    return f"{result.stdout.decode().strip()}{result.stderr_tail[-200:]}"


def main(arguments: Sequence[str]) -> None:
    sys.stdout.write(json.dumps(attack(json.loads(arguments[0]))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
