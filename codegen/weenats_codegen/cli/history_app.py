"""The commands `history` and `state` with their arguments and help."""

from typing import Annotated

import typer

from weenats_codegen.cli.options import (
    LOCAL,
    Json,
    Servers,
    Timeout,
    Token,
    own_aggregate,
    own_service,
    split,
)

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", callback=own_service, help="The service.")
]


def _unicode(key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("the key is not valid Unicode") from None
    return key


Key = Annotated[
    str, typer.Argument(metavar="KEY", callback=_unicode, help="The key of the aggregate.")
]


def history(
    service: Service,
    key: Key,
    aggregate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", callback=own_aggregate, help="Only of this aggregate (default: all)."
        ),
    ] = None,
    servers: Servers = LOCAL,
    *,
    json: Json = False,
) -> None:
    """Show the events of an aggregate that is kept in a stream, from the stream itself."""
    from weenats_codegen.cli import history

    history.history(service, key, aggregate, split(servers), as_json=json)


def state(  # noqa: PLR0913, PLR0917 - the options of a call
    service: Service,
    key: Key,
    aggregate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=own_aggregate,
            help="The aggregate, if several have the query get.",
        ),
    ] = None,
    revision: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="As it was at this revision.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="As it was at this time (ISO 8601).")
    ] = None,
    servers: Servers = LOCAL,
    timeout: Timeout = 5.0,
    token: Token = None,
    *,
    json: Json = False,
) -> None:
    """Show an aggregate that is kept in a stream, also as it was before."""
    from weenats_codegen.cli import call, history

    operation = "get" if aggregate is None else f"{aggregate}.get"
    history.state(
        call.Arguments(service, operation, (key,), timeout, token),
        split(servers),
        revision=revision,
        time=time,
        as_json=json,
    )
