"""Arguments and options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

LOCAL: Final = "nats://localhost:4222"
"""The default of `--servers`."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Servers = Annotated[
    str,
    typer.Option(envvar="NATS_URL", metavar="URL", help="The NATS servers, separated by commas."),
]
Timeout = Annotated[
    float,
    typer.Option(min=0.001, max=86400, metavar="SECONDS", help="Seconds to wait for the reply."),
]
Token = Annotated[
    str | None, typer.Option(envvar="WEENATS_TOKEN", metavar="TOKEN", help="A JSON Web Token.")
]
OneContract = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract's folder.")]


def example(command: str) -> str:
    """Return the last paragraph of a help text, on a line of its own."""
    return f"\b\nExample:\n  {command}"


def split(text: str | None) -> list[str]:
    """Return the items of a text that is separated by commas."""
    return [item for item in (part.strip() for part in (text or "").split(",")) if item]


def checked(check: Callable[[str], object], text: str | None) -> str | None:
    """Return a text, or refuse it as wrong usage."""
    try:
        if text is not None:
            check(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def own_service(text: str | None) -> str | None:
    """Refuse text that is not a valid name of a service."""
    from weenats.protocol.subjects import check_service_name

    return checked(check_service_name, text)


def own_message_id(text: str | None) -> str | None:
    """Refuse text that is not a valid message id."""
    from weenats.errors import InvalidArgumentError
    from weenats.protocol.identifiers import check_message_id

    try:
        return None if text is None else check_message_id(text)
    except InvalidArgumentError as error:
        raise typer.BadParameter(error.message) from None
