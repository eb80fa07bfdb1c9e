"""Users of a NATS server with the permissions of a contract, or with all but one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from testkit.waiting import LIMIT
from weenats import ConnectionOptions
from weenats_codegen.loading import read
from weenats_codegen.permissions.entries import Entry, Permissions
from weenats_codegen.permissions.model import of_client, of_service
from weenats_codegen.permissions.output import to_config

CONTRACT: Final = read(Path(__file__).parents[2] / "schemas" / "receipts")
ROLES: Final[Mapping[str, Permissions]] = {
    "service": of_service(CONTRACT),
    "client": of_client(CONTRACT, inbox_prefix="_INBOX_till"),
}
_INBOXES: Final = {"client": "_INBOX_till"}


def entries(role: str) -> list[Entry]:
    """Return the permissions of a role, without replies."""
    return [*ROLES[role].publish, *ROLES[role].subscribe]


def without(role: str, entry: Entry) -> Permissions:
    """Return the permissions of a role without one entry."""
    permissions = ROLES[role]
    return replace(
        permissions,
        publish=tuple(each for each in permissions.publish if each is not entry),
        subscribe=tuple(each for each in permissions.subscribe if each is not entry),
    )


def user_without(role: str, entry: Entry) -> str:
    """Return the name of the user that lacks an entry."""
    return f"{role} without {entries(role).index(entry)}"


def users() -> dict[str, Permissions | None]:
    """Return one user for each role, one for each entry that a role lacks, and a free one."""
    lacking = {
        user_without(role, entry): without(role, entry) for role in ROLES for entry in entries(role)
    }
    mute = {"mute service": replace(ROLES["service"], reply_within=None)}
    return {"free": None, **ROLES, **lacking, **mute}


def config_of(users: Mapping[str, Permissions | None]) -> str:
    """Return a server's configuration with these users; None stands for all permissions."""
    lines = [
        f"{{user: {json.dumps(name)}, password: secret"
        + ("}" if permissions is None else f", {to_config(permissions)}}}")
        for name, permissions in users.items()
    ]
    return "authorization: {\n  users: [\n" + "\n".join(lines) + "\n  ]\n}\n"


def as_user(name: str) -> ConnectionOptions:
    """Return the connection options of a user."""
    prefix = _INBOXES.get(name.split(maxsplit=1)[0], "_INBOX")
    return ConnectionOptions(
        user=name, password="secret", inbox_prefix=prefix, connect_timeout=LIMIT
    )
