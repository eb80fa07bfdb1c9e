"""The command `permissions` with its arguments and help."""

from typing import Annotated, Literal

import typer

from weenats_codegen.cli.options import (
    OneContract,
    own_consumer,
    own_inbox_prefix,
    own_projection,
    own_queue_group,
    split,
)


def permissions(  # noqa: PLR0913 - the options of a user
    contract: OneContract,
    *,
    role: Annotated[
        Literal["service", "client", "consumer", "operator", "projection"],
        typer.Option(help="The role of the user."),
    ],
    operations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="The commands and queries that a client calls, separated by commas; "
            "by default, if there is no --events or --discovery either, everything.",
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="The events that a client subscribes to, separated by commas."
        ),
    ] = None,
    discovery: Annotated[
        bool,
        typer.Option("--discovery", help="Let a client request instances, statistics, health."),
    ] = False,
    queue_group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=own_queue_group,
            help="The queue group of a service (default: its name), or of a client's events.",
        ),
    ] = None,
    inbox_prefix: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            callback=own_inbox_prefix,
            help="The inbox_prefix of the user's ConnectionOptions (_INBOX).",
        ),
    ] = None,
    max_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=86400,
            metavar="SECONDS",
            help="The longest timeout of a service's callers (default: that of the contract).",
        ),
    ] = None,
    streams: Annotated[
        Literal["apply", "check"] | None,
        typer.Option(help="What with_streams of a service was called with (default: it was not)."),
    ] = None,
    consumer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=own_consumer,
            help="The name of a durable consumer; of a service, one that it runs.",
        ),
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=own_projection,
            help="The name of a projection; of a service, one that it runs.",
        ),
    ] = None,
    shared_limits: Annotated[
        bool,
        typer.Option("--shared-limits", help='Of a service with with_rate_limit(scope="service").'),
    ] = False,
    calls: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONTRACT[=NAMES]",
            help="Another contract that the user calls as a client: all of it, or only the "
            "operations named, separated by commas; repeatable.",
        ),
    ] = None,
    consumes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONTRACT=NAME",
            help="Another contract whose durable events the user processes, and the name of the "
            "consumer; repeatable.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the claims of a user JWT, as one JSON document.")
    ] = False,
) -> None:
    """Print the permissions that a NATS user needs, as server configuration or JWT claims."""
    from weenats_codegen.cli import permissions
    from weenats_codegen.permissions.model import Used

    used = Used(split(",".join(operations or [])), split(",".join(events or [])), discovery)
    for given, names in ((operations, used.operations), (events, used.events)):
        if given is not None and not names:  # without any name, everything would be permitted
            raise typer.BadParameter("--operations and --events require a name")
    arguments = permissions.Arguments(
        role=role,
        used=used,
        queue_group=queue_group,
        inbox_prefix=inbox_prefix,
        max_timeout=max_timeout,
        streams=streams,
        consumer=consumer,
        projection=projection,
        shared_limits=shared_limits,
        calls=calls or (),
        consumes=consumes or (),
    )
    permissions.permissions(contract, arguments, as_json=json)
