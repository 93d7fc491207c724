"""What attacks aim at on the machine that runs the catalogue, made for it and named in rows.

@arena@      a directory                           @secret@    a file that everybody may read
@private@    one that only its owner may read      @victim@    one that everybody may write
@movable@    another such                          @owner@     process id of the trusted parent
@port@       a TCP port of 127.0.0.1 that answers  @unix@      a socket that answers, by path
@abstract@   one by name                           @cores@     how many a process may use
@first@ and @second@ are halves of a word that is only in the parent. Sockets for datagrams are
at @arena@/datagrams and, by name, @abstract@-datagrams.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self

from tests.sandbox.catalogue.row import Repeat

CANARY = ("q8vZ1kfT", "w3RmX7bD")
CANARY_VARIABLE = "CODEPRM_CANARY"
SECRET = "the secret"

Address = str | tuple[str, int]


class Arena:
    """Use it as a context: it removes what it made."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="codeprm-arena-"))
        self._sockets: list[socket.socket] = []
        self.facts: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.root.chmod(0o755)
        private = self.root / "private"
        private.mkdir(mode=0o700)
        files = {
            "secret": self._file(self.root / "secret", 0o644),
            "private": self._file(private / "secret", 0o600),
            "victim": self._file(self.root / "victim", 0o666),
            "movable": self._file(self.root / "movable", 0o666),
        }
        abstract = f"\0{self.root.name}"
        self.facts = {
            **{name: str(path) for name, path in files.items()},
            "arena": str(self.root),
            "port": str(self._listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]),
            "unix": str(self._listen(socket.AF_UNIX, str(self.root / "socket")).getsockname()),
            "abstract": abstract[1:],
            "owner": str(os.getpid()),
            "first": CANARY[0],
            "second": CANARY[1],
            "cores": str(len(os.sched_getaffinity(0))),
        }
        self._listen(socket.AF_UNIX, abstract)
        for address in (str(self.root / "datagrams"), f"{abstract}-datagrams"):
            self._bound(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), address)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._sockets:
            server.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def filled(self, value: object) -> object:
        """The value with facts in the place of their names, at any depth."""
        if isinstance(value, Repeat):
            return self.text(value.text) * value.times
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        if "@" in value:
            for name, fact in self.facts.items():
                value = value.replace(f"@{name}@", fact)
        return value

    def _file(self, path: Path, mode: int) -> Path:
        path.write_text(SECRET)
        path.chmod(mode)
        return path

    def _listen(self, family: int, address: Address) -> socket.socket:
        server = self._bound(socket.socket(family, socket.SOCK_STREAM), address)
        server.listen(64)
        return server

    def _bound(self, server: socket.socket, address: Address) -> socket.socket:
        self._sockets.append(server)
        server.bind(address)
        if isinstance(address, str) and not address.startswith("\0"):
            Path(address).chmod(0o777)
        return server
