"""The command `rebuild` with its arguments and help."""

from typing import Annotated

import typer

from weenats_codegen.cli.options import LOCAL, Json, Servers, check_unused, split


def rebuild(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:PROJECTION",
            help="A projection, or a function that returns one; also in generated/.",
        ),
    ],
    servers: Servers = LOCAL,
    grace: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=86400,
            metavar="SECONDS",
            help="For how long the old view stays after the new one is live.",
        ),
    ] = 5.0,
    *,
    status: Annotated[
        bool, typer.Option("--status", help="Show what there is and how far it is, build nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Build a projection anew from the stored events, beside the live view, and swap them.

    Services go on with the old view meanwhile. After a rebuild that was interrupted, the next one
    goes on where it was.
    """
    from weenats_codegen.cli import rebuild

    if status:
        check_unused(context, "cannot be used with --status", "grace")
        rebuild.status(target, split(servers), as_json=json)
    else:
        rebuild.rebuild(target, split(servers), grace=grace, as_json=json)
