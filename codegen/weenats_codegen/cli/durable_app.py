"""The commands `streams` and `dead-letters` with their arguments and help."""

from typing import Annotated

import typer

from weenats_codegen.cli.options import (
    LOCAL,
    Json,
    OneContract,
    Servers,
    example,
    own_consumer,
    split,
)

streams = typer.Typer(
    name="streams", no_args_is_help=True, help="Plan, create and show the streams of a contract."
)
dead_letters = typer.Typer(
    name="dead-letters",
    no_args_is_help=True,
    help="Show, retry and drop events that a consumer could not process.",
)
Name = Annotated[
    str | None,
    typer.Option("--stream", metavar="NAME", help="The stream, if the contract has several."),
]
Consumer = Annotated[
    str | None,
    typer.Option(
        "--consumer", metavar="NAME", callback=own_consumer, help="Only those of this consumer."
    ),
]
Sequences = Annotated[
    list[int] | None,
    typer.Argument(
        min=1, metavar="[NUMBER]...", help="The numbers of dead letters, as `list` shows them."
    ),
]
All = Annotated[
    bool, typer.Option("--all", help="All dead letters (with --consumer: of that consumer).")
]


@streams.command("plan", epilog=example("weenats streams plan schemas/receipts"))
def plan(contract: OneContract, servers: Servers = LOCAL, *, json: Json = False) -> None:
    """Show what differs between the streams of a contract and those of the server."""
    from weenats_codegen.cli import streams

    streams.plan(contract, split(servers), as_json=json)


@streams.command("apply", epilog=example("weenats streams apply schemas/receipts"))
def apply(
    contract: OneContract,
    servers: Servers = LOCAL,
    *,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also apply changes that may delete or reorder stored events."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Create and update the streams of a contract."""
    from weenats_codegen.cli import streams

    streams.apply(contract, split(servers), force=force, as_json=json)


@streams.command("status", epilog=example("weenats streams status schemas/receipts"))
def status(contract: OneContract, servers: Servers = LOCAL, *, json: Json = False) -> None:
    """Show what the streams of a contract hold, and how far their consumers are."""
    from weenats_codegen.cli import streams

    streams.status(contract, split(servers), as_json=json)


@streams.command("replay", epilog=example("weenats streams replay schemas/receipts billing"))
def replay(  # noqa: PLR0913 - the options of a user
    contract: OneContract,
    consumer: Annotated[
        str,
        typer.Argument(metavar="CONSUMER", callback=own_consumer, help="The durable consumer."),
    ],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="START",
            help="beginning, new, the sequence of an event, or a time (ISO 8601).",
        ),
    ] = "beginning",
    name: Name = None,
    servers: Servers = LOCAL,
    *,
    json: Json = False,
) -> None:
    """Let a durable consumer begin elsewhere; it processes the events from there on again."""
    from weenats_codegen.cli import streams

    streams.replay(contract, consumer, start, name, split(servers), as_json=json)


@dead_letters.command("list", epilog=example("weenats dead-letters list schemas/receipts"))
def list_letters(
    contract: OneContract,
    consumer: Consumer = None,
    name: Name = None,
    servers: Servers = LOCAL,
    *,
    json: Json = False,
) -> None:
    """List dead letters: the event, the consumer, the reason, the attempts; no payloads."""
    from weenats_codegen.cli import dead_letters

    dead_letters.list_letters(contract, consumer, name, split(servers), as_json=json)


@dead_letters.command("show", epilog=example("weenats dead-letters show schemas/receipts 12"))
def show(
    contract: OneContract,
    number: Annotated[
        int, typer.Argument(min=1, metavar="NUMBER", help="The number of a dead letter.")
    ],
    name: Name = None,
    servers: Servers = LOCAL,
    *,
    json: Json = False,
) -> None:
    """Show a dead letter with the payload and the headers of its event."""
    from weenats_codegen.cli import dead_letters

    dead_letters.show(contract, number, name, split(servers), as_json=json)


@dead_letters.command("retry", epilog=example("weenats dead-letters retry schemas/receipts 12"))
def retry(  # noqa: PLR0913 - the options of a user
    contract: OneContract,
    numbers: Sequences = None,
    consumer: Consumer = None,
    name: Name = None,
    servers: Servers = LOCAL,
    *,
    everything: All = False,
    json: Json = False,
) -> None:
    """Let the consumer of dead letters, and no other one, process their events again."""
    from weenats_codegen.cli import dead_letters

    chosen = dead_letters.Chosen(tuple(numbers or ()), consumer, everything)
    dead_letters.retry(contract, chosen, name, split(servers), as_json=json)


@dead_letters.command("drop", epilog=example("weenats dead-letters drop schemas/receipts 12"))
def drop(  # noqa: PLR0913 - the options of a user
    contract: OneContract,
    numbers: Sequences = None,
    consumer: Consumer = None,
    name: Name = None,
    servers: Servers = LOCAL,
    *,
    everything: All = False,
    json: Json = False,
) -> None:
    """Remove dead letters for good."""
    from weenats_codegen.cli import dead_letters

    chosen = dead_letters.Chosen(tuple(numbers or ()), consumer, everything)
    dead_letters.drop(contract, chosen, name, split(servers), as_json=json)
