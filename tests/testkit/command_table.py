"""The commands of `weenats`, what each takes, and complete command lines.

A new command or option is found here without being named. Only the value of an argument that must
be given is missing then: add it to VALID.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from testkit.cli_service import TARGET
from weenats_codegen.cli.app import command as program

NOWHERE: Final = "nats://127.0.0.1:1"
VALID: Final = {
    "CONTRACT": "schemas/receipts",
    "CONSUMER": "billing",
    "KEY": "r-1",
    "MODULE:BUILDER": TARGET,
    "MODULE:NAME": TARGET,
    "MODULE:PROJECTION": "receipts.app:builder",
    "NEW": "schemas/receipts",
    "NUMBER": "1",
    "OLD": "schemas/receipts",
    "OPERATION": "get",
    "SERVICE": "receipts",
    "role": "client",
}
"""The values of what must be given, by metavar or name."""
MORE: Final[Mapping[str, Mapping[str, str | None]]] = {
    "dead-letters drop": {"numbers": "1"},
    "dead-letters retry": {"numbers": "1"},
    "new": {"name": "things"},
    "top": {"once": None, "interval": "0.1"},
}
"""What else is given, so that the command is complete and ends."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or an option of a command; options have a name with dashes."""

    name: str
    option: str
    metavar: str
    kind: Any
    is_required: bool
    variable: str | None
    help: str


def commands(group: Any = program, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with its path."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield " ".join((*path, name)), each


COMMANDS: Final = dict(commands())


@cache
def parameters(command: str) -> tuple[Parameter, ...]:
    """Return what a command takes."""
    described = COMMANDS[command]
    hints = get_type_hints(inspect.unwrap(described.callback))
    return tuple(
        Parameter(
            each.name,
            each.opts[0] if each.param_type_name == "option" else "",
            each.metavar or "",
            plain(hints[each.name]),
            each.required,
            each.envvar,
            f"{each.metavar} {each.help}",
        )
        for each in described.params
        if each.name in hints and not getattr(each, "hidden", False)
    )


def plain(hint: Any) -> Any:
    """Return a type without None and without its list."""
    if get_origin(hint) in {types.UnionType, typing.Union}:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return get_args(hint)[0] if get_origin(hint) is list else hint


WITH_SERVERS: Final = [
    command
    for command in COMMANDS
    if any(each.name == "servers" for each in parameters(command)) and command != "rebuild"
]
"""Commands that connect, `rebuild` only if there is a projection."""


def line_of(command: str, given: Mapping[str, str | None], without: str = "") -> list[str]:
    """Return a command line with some values, and valid ones for what must be given.

    Args:
        command: the path of the command.
        given: values by the name of the parameter; None for an option that has no value.
        without: the name of a parameter that is not given.
    """
    values: dict[str, str | None] = {
        each.name: VALID[each.name if each.option else each.metavar]
        for each in parameters(command)
        if each.is_required
    }
    values |= {"servers": NOWHERE, **MORE.get(command, {}), **given}
    values.pop(without, None)
    line, arguments = command.split(), ["--"]
    for each in parameters(command):
        if each.name in values and not each.option:
            arguments.append(values[each.name] or "")
        elif each.name in values:
            value = values[each.name]
            line.append(each.option if value is None else f"{each.option}={value}")
    return [*line, *arguments]
