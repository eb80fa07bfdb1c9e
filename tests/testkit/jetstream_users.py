"""Users of a server for what a service needs of JetStream: all of it, or all but one subject."""

from __future__ import annotations

from typing import Final

from testkit.nats_users import config_of
from weenats import ConnectionOptions
from weenats_codegen.permissions.entries import Permissions

INBOX: Final = "_INBOX_probe"
_PREFIXES: Final = ("$KV", "$JS", "$O", INBOX)


def stored_subjects(permissions: Permissions) -> list[str]:
    """Return the subjects of JetStream, and the inbox, that a service may use."""
    entries = [*permissions.publish, *permissions.subscribe]
    return [each.subject for each in entries if each.subject.startswith(_PREFIXES)]


def users_config(permissions: Permissions) -> str:
    """Return a server's configuration: `free`, `all`, and a user for each subject that it lacks."""
    lacking = {each: _without(permissions, each) for each in stored_subjects(permissions)}
    return config_of({"free": None, "all": permissions, **lacking})


def service_as(user: str) -> ConnectionOptions:
    """Return the connection options of a service."""
    return ConnectionOptions(user=user, password="secret", inbox_prefix=INBOX)


def _without(permissions: Permissions, subject: str) -> Permissions:
    return Permissions(
        tuple(each for each in permissions.publish if each.subject != subject),
        tuple(each for each in permissions.subscribe if each.subject != subject),
        permissions.reply_within,
    )
