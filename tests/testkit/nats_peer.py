"""A client that speaks the NATS protocol directly, and the rules by which a server refuses it."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Self

from testkit.nats_jwt import Identity
from weenats.testing import NatsServer
from weenats_codegen.permissions.entries import Entry


class Peer:
    """A connection whose protocol lines a test writes; its user may have a JWT."""

    def __init__(self, server: NatsServer, user: str | tuple[Identity, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        info = json.loads(self._file.readline().removeprefix(b"INFO "))
        options: dict[str, object] = {"verbose": False, "headers": True}
        if isinstance(user, str):
            options |= {"user": user, "pass": "secret"}
        else:
            identity, jwt = user
            options |= {"jwt": jwt, "sig": identity.sign(info["nonce"])}
        self.send(f"CONNECT {json.dumps(options)}")
        assert self.refusals() == []

    def send(self, *lines: str) -> None:
        """Send lines."""
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def next_message(self) -> list[str]:
        """Return the words of the next message's first line; its payload is skipped."""
        while not (line := self._file.readline()).startswith(b"MSG"):
            assert line, "the server closed the connection"
        self._file.read(int(line.split()[-1]) + 2)
        return line.decode().split()

    def refusals(self, *lines: str) -> list[str]:
        """Send lines and return the server's errors."""
        self.send(*lines, "PING")
        said: list[str] = []
        while (line := self._file.readline()) != b"PONG\r\n":
            assert line, "the server closed the connection"
            if line.startswith(b"-ERR"):
                said.append(line.decode().strip())
        return said

    def may_publish(self, subject: str) -> bool:
        """Return whether the server accepts a message on a subject."""
        return self._allowed(subject, self.refusals(f"PUB {subject} 0", ""))

    def may_subscribe(self, subject: str, queue_group: str = "") -> bool:
        """Return whether the server accepts a subscription."""
        return self._allowed(subject, self.refusals(f"SUB {subject} {queue_group} 1", "UNSUB 1"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    @staticmethod
    def _allowed(subject: str, refused: Sequence[str]) -> bool:
        if not refused:
            return True
        assert len(refused) == 1
        assert "Permissions Violation" in refused[0]
        assert f'"{subject}"' in refused[0]
        return False


def covers(pattern: str, subject: str) -> bool:
    """Return whether a pattern covers a subject for the server; both may have wildcards."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given):
            return False
        # The server takes `>` for a token that `*` allows; nobody sends what is beyond it.
        if token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


def allows(allowed: Sequence[Entry], subject: str, queue_group: str = "") -> bool:
    """Return whether a list allows a subject; an entry may be limited to one queue group."""
    for entry in allowed:
        pattern, _, group = entry.subject.partition(" ")
        if covers(pattern, subject) and group in ("", queue_group):
            return True
    return False
