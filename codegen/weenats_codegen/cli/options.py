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
OneContract = Annotated[
    Path, typer.Argument(readable=False, metavar="CONTRACT", help="The contract's folder.")
]


def example(command: str) -> str:
    """Return the last paragraph of a help text, on a line of its own."""
    return f"\b\nExample:\n  {command}"


def split(text: str | None) -> list[str]:
    """Return the items of a text that is separated by commas."""
    return [item for item in (part.strip() for part in (text or "").split(",")) if item]


def check_unused(context: typer.Context, why: str, *names: str) -> None:
    """Refuse parameters on the command line that would be ignored; not those of the environment.

    Args:
        context: The context of the command.
        why: Why they have no effect, as the end of a message: "needs --reload".
        names: The names of the parameters.
    """
    for each in context.command.params:
        source = context.get_parameter_source(each.name or "")
        if each.name in names and source is not None and source.name == "COMMANDLINE":
            shown = each.metavar if each.param_type_name == "argument" else each.opts[0]
            raise typer.BadParameter(f"{shown} {why}")


def checked(check: Callable[[str], object], text: str | None, problem: str = "") -> str | None:
    """Return a text, or refuse it as wrong usage.

    Args:
        check: Raises a ValueError for a text that is not valid.
        text: The text.
        problem: What the text is not, and a remedy; by default what the ValueError says.
    """
    try:
        if text is not None:
            check(text)
    except ValueError as error:
        shown = f"{text!r} is not a valid {problem}" if problem else str(error)
        raise typer.BadParameter(shown) from None
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


def own_consumer(text: str | None) -> str | None:
    """Refuse text that is not a valid name of a durable consumer."""
    return _own_name(text, "consumer")


def own_projection(text: str | None) -> str | None:
    """Refuse text that is not a valid name of a projection."""
    return _own_name(text, "projection")


def own_queue_group(text: str | None) -> str | None:
    """Refuse text that is not a valid name of a queue group."""
    return _own_name(text, "queue group")


def _own_name(text: str | None, what: str) -> str | None:
    from weenats.protocol.subjects import check_queue_group

    remedy = (
        "use a lower-case letter, then lower-case letters, digits and dashes, at most 100 in all"
    )
    return checked(check_queue_group, text, f"name of a {what}; {remedy}")


def own_aggregate(text: str | None) -> str | None:
    """Refuse text that is not a valid name of an aggregate."""
    from weenats.protocol.subjects import check_component

    remedy = "use a letter, then letters, digits, dashes and underscores, at most 50 in all"
    return checked(check_component, text, f"name of an aggregate; {remedy}")


def own_inbox_prefix(text: str | None) -> str | None:
    """Refuse text that is not a valid prefix of reply subjects."""
    from weenats.protocol.subjects import check_inbox_prefix

    remedy = (
        "use letters, digits, dashes and underscores, and not the beginning of subjects of"
        " services or of NATS"
    )
    return checked(check_inbox_prefix, text, f"inbox prefix, such as _INBOX_till; {remedy}")
