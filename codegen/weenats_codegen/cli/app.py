"""The command line as a person types it; what the verbs do stands elsewhere."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    name="weenats",
    help="Contract-first, typed services over NATS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Schemas = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="SCHEMAS",
        help="Contract folders, or folders that hold some (default: schemas).",
    ),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the packages are.")]
Servers = Annotated[
    str,
    typer.Option(envvar="NATS_URL", metavar="URL", help="The NATS servers, separated by commas."),
]
Timeout = Annotated[
    float, typer.Option(min=0.001, metavar="SECONDS", help="Seconds to wait for an answer.")
]

LOCAL = "nats://localhost:4222"


def example(command: str) -> str:
    """The last paragraph of a help text, on a line of its own."""
    return f"\b\nExample:\n  {command}"


@app.command(epilog=example("weenats new invoices"))
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The service: lower case, digits, dashes.")
    ],
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds `schemas`.")
    ] = Path(),
    *,
    json: Json = False,
) -> None:
    """Write a contract folder to start from."""
    from weenats_codegen.cli import contracts

    contracts.new(name, root, as_json=json)


@app.command(epilog=example("weenats generate schemas --out generated"))
def generate(schemas: Schemas = None, out: Out = Path("generated"), *, json: Json = False) -> None:
    """Write a Python package for each contract."""
    from weenats_codegen.cli import contracts

    contracts.generate(schemas or [Path("schemas")], out, as_json=json)


@app.command(epilog=example("weenats check schemas --out generated"))
def check(schemas: Schemas = None, out: Out = Path("generated"), *, json: Json = False) -> None:
    """Fail, with a diff, when generated files are stale."""
    from weenats_codegen.cli import contracts

    contracts.check(schemas or [Path("schemas")], out, as_json=json)


@app.command(epilog=example("weenats run receipts.handlers:Receipts --embedded"))
def run(
    asked: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME",
            help="Handlers, their class, or a NatsServiceBuilder; "
            "looked for in the working directory and `generated` too.",
        ),
    ],
    servers: Annotated[
        str | None,
        typer.Option(
            envvar="NATS_URL",
            metavar="URL",
            help=f"The NATS servers, separated by commas (default: the builder's, or {LOCAL}).",
        ),
    ] = None,
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a nats-server of its own for it.")
    ] = False,
    json: Json = False,
) -> None:
    """Serve a contract until SIGTERM or Ctrl-C."""
    from weenats_codegen.cli import run

    source = asked.get_parameter_source("servers")  # a NATS_URL that is set for other verbs is none
    if embedded and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("--servers and --embedded do not go together: choose one")
    run.run(target, split(servers), embedded=embedded, as_json=json)


@app.command(
    epilog=example(
        """weenats call receipts add-item r-1 '{"name": "Tea", "price": 3.5, "quantity": 2}'"""
    )
)
def call(  # noqa: PLR0913, PLR0917 - what a person may say of a call
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service.")],
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="The command or query.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the aggregate.")],
    payload: Annotated[
        str | None, typer.Argument(metavar="JSON", help="The payload; - reads standard input.")
    ] = None,
    servers: Servers = LOCAL,
    timeout: Timeout = 5.0,
    token: Annotated[
        str | None, typer.Option(envvar="WEENATS_TOKEN", metavar="TOKEN", help="A JSON Web Token.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Call an operation of a running service."""
    from weenats_codegen.cli import call

    call.call(
        call.Asked(service, operation, key, payload, timeout, token),
        split(servers),
        as_json=json,
    )


@app.command(epilog=example("weenats explain receipts.handlers:Receipts add-item"))
def explain(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:BUILDER", help="As for `run`; nothing is started.")
    ],
    operation: Annotated[
        str | None, typer.Argument(metavar="OPERATION", help="Only this command or query.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show what holds for each operation: authentication, limits, timeouts, and who said so."""
    from weenats_codegen.cli import explain

    explain.explain(target, operation, as_json=json)


@app.command(
    epilog=example("weenats permissions schemas/receipts --role client --operations add-item,get")
)
def permissions(  # noqa: PLR0913 - what may be said of a user
    contract: Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract's folder.")],
    *,
    role: Annotated[Literal["service", "client"], typer.Option(help="Whose user it is.")],
    operations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Only these commands and queries of a client, separated by commas; "
            "without it, --events and --discovery a client uses everything.",
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Only these events of a client, separated by commas."),
    ] = None,
    discovery: Annotated[
        bool, typer.Option("--discovery", help="A client asks for instances, statistics, health.")
    ] = False,
    queue_group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The queue group of a service (default: its name), or of a client's events.",
        ),
    ] = None,
    inbox_prefix: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX", help="The inbox_prefix of a client's ConnectionOptions (_INBOX)."
        ),
    ] = None,
    max_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=86400,
            metavar="SECONDS",
            help="The longest that callers of a service wait (default: what the contract says).",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the claims of a user JWT, as one JSON document.")
    ] = False,
) -> None:
    """Print what a NATS user must be allowed, as server configuration or claims of a JWT."""
    from weenats_codegen.cli import permissions

    asked = permissions.Asked(
        role,
        split(",".join(operations or [])),
        split(",".join(events or [])),
        discovery,
        queue_group,
        inbox_prefix,
        max_timeout,
    )
    permissions.permissions(contract, asked, as_json=json)


@app.command(epilog=example("weenats services --json"))
def services(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="Only the instances of this one.")
    ] = None,
    servers: Servers = LOCAL,
    *,
    json: Json = False,
) -> None:
    """List the running services, their instances and statistics."""
    from weenats_codegen.cli import services

    services.services(service, split(servers), as_json=json)


@app.command(epilog=example("weenats top receipts"))
def top(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="Only the instances of this one.")
    ] = None,
    servers: Servers = LOCAL,
    interval: Annotated[
        float,
        typer.Option(
            min=0.1, max=3600, metavar="SECONDS", help="Seconds from one look to the next."
        ),
    ] = 1.0,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Watch for one interval, show it, and end.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line for each look.")
    ] = False,
) -> None:
    """Watch what the running instances do, until Ctrl-C."""
    from weenats_codegen.cli import top

    top.top(service, split(servers), interval=interval, once=once, as_json=json)


@app.command(epilog=example("weenats demo"))
def demo(*, json: Json = False) -> None:
    """Show the whole path, from a contract to calls and events."""
    from weenats_codegen.cli import demo

    demo.demo(as_json=json)


def split(texts: str | None) -> list[str]:
    """What stands between commas."""
    return [text for text in (part.strip() for part in (texts or "").split(",")) if text]
