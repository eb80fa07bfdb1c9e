"""The commands with their arguments and help; each one imports its implementation when it runs."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from weenats_codegen.cli.durable_app import dead_letters, streams
from weenats_codegen.cli.history_app import history, state
from weenats_codegen.cli.options import (
    LOCAL,
    Json,
    OneContract,
    Servers,
    Timeout,
    Token,
    check_unused,
    checked,
    example,
    own_message_id,
    own_service,
    split,
)
from weenats_codegen.cli.permissions_app import permissions
from weenats_codegen.cli.rebuild_app import rebuild

_UsageError: Any = typer.BadParameter.__base__  # which typer does not export


@contextmanager
def _usage_errors() -> Generator[None]:
    """Show errors of wrong usage without control characters, and without words of a library."""
    try:
        yield
    except _UsageError as error:
        from weenats_codegen.cli.output import one_line, shortened
        from weenats_codegen.parser.diagnostics import escaped

        lines = escaped(error.message, "\n").split("\n")  # help has lines
        error.message = "\n".join(map(shortened, lines))
        if isinstance(error, typer.BadParameter):
            error.message = one_line(error.message.removeprefix("Value error, "))
        raise


class _Program(TyperGroup):
    @override
    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _usage_errors():
            return super().make_context(*args, **extra)

    @override
    def invoke(self, ctx: Any) -> Any:
        with _usage_errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="weenats",
    cls=_Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _any_service(text: str | None) -> str | None:
    """Refuse text that is not a valid name of a service of any framework."""
    from weenats.protocol.subjects import check_discovered_name

    return checked(check_discovered_name, text)


def _distribution(text: str | None) -> str | None:
    """Refuse text that cannot be the name of a client project."""
    from weenats_codegen.generate import check_distribution

    return checked(check_distribution, text)


def _client_contract(schemas: list[Path], package: str | None, *, client_only: bool) -> Path | None:
    """Return the contract of a client project, None without --client-only."""
    if not client_only:
        if package is not None:
            raise typer.BadParameter("--package needs --client-only")
        return None
    if len(schemas) != 1:
        raise typer.BadParameter("--client-only takes one contract")
    return schemas[0]


def _process_count(text: str | None) -> int | None:
    """Return the number of processes."""
    from weenats_codegen.cli.processes import process_count

    try:
        return None if text is None else process_count(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _print_version(requested: bool) -> None:  # noqa: FBT001 - how typer calls it
    if requested:
        from importlib.metadata import version

        from weenats_codegen.cli.output import write

        write(f"weenats {version('weenats')}\n")
        raise typer.Exit


@app.callback()
def program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Contract-first, typed services over NATS."""


Schemas = Annotated[
    list[Path],
    typer.Argument(
        readable=False,  # the commands say what to do then
        metavar="SCHEMAS",
        help="Contract folders, or folders that contain some.",
    ),
]
Out = Annotated[
    Path, typer.Option(readable=False, metavar="DIR", help="The folder of the packages.")
]
ClientOnly = Annotated[
    bool,
    typer.Option(
        "--client-only",
        help="One contract as an installable project in DIR, without handlers and program.",
    ),
]
Package = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=_distribution,
        help="With --client-only: the name of the project; default SERVICE-client.",
    ),
]
Format = Annotated[
    Literal["text", "json", "sarif", "github"],
    typer.Option("--format", help="For people, programs, SARIF viewers, or GitHub Actions."),
]
OneService = Annotated[
    str | None,
    typer.Argument(
        metavar="SERVICE", callback=_any_service, help="Show only the instances of this service."
    ),
]


@app.command(epilog=example("weenats new invoices"))
def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The service: lower case, digits, dashes.")
    ] = None,
    root: Annotated[
        Path,
        typer.Option(readable=False, metavar="DIR", help="The folder that contains `schemas`."),
    ] = Path(),
    *,
    sample: Annotated[
        bool, typer.Option("--sample", help="Write the sample contract `receipts` instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a contract folder to start from."""
    from weenats_codegen.cli import new

    if sample == (name is not None):
        raise typer.BadParameter("use either NAME or --sample")
    new.new(name, root, as_json=json)


@app.command(epilog=example("weenats generate schemas --out generated"))
def generate(
    schemas: Schemas = [Path("schemas")],  # noqa: B006 - typer copies it
    out: Out = Path("generated"),
    package: Package = None,
    *,
    client_only: ClientOnly = False,
    json: Json = False,
) -> None:
    """Write a Python package for each contract, and for each library beside them that they use."""
    from weenats_codegen.cli import generate

    contract = _client_contract(schemas, package, client_only=client_only)
    if contract is None:
        generate.generate(schemas, out, as_json=json)
    else:
        generate.generate_client_project(contract, out, package or "", as_json=json)


@app.command(epilog=example("weenats check schemas --out generated"))
def check(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    schemas: Schemas = [Path("schemas")],  # noqa: B006 - typer copies it
    out: Out = Path("generated"),
    package: Package = None,
    *,
    client_only: ClientOnly = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="GIT_REV|FOLDER|nats://...",
            help="Compare the contracts with what they were there, or with what runs, instead of"
            " generated files.",
        ),
    ] = None,
    output: Format = "text",
    json: Json = False,
) -> None:
    """Fail if generated files are not up to date or, with --against, if a contract breaks users."""
    if against is not None:
        check_unused(context, "cannot be used with --against", "out", "package", "client_only")
        from weenats_codegen.cli import diff

        raise typer.Exit(diff.check_against(schemas, against, "json" if json else output))
    if output != "text":
        raise typer.BadParameter("--format needs --against")
    from weenats_codegen.cli import check

    contract = _client_contract(schemas, package, client_only=client_only)
    if contract is None:
        check.check(schemas, out, as_json=json)
    else:
        check.check_client_project(contract, out, package or "", as_json=json)


@app.command(epilog=example("weenats diff main:schemas/receipts schemas/receipts"))
def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="The old version: a folder, a service.yaml, a git REV:PATH, or nats://... for what"
            " runs.",
        ),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new version, likewise.")],
    *,
    output: Format = "text",
    json: Json = False,
) -> None:
    """Report whom the change of a contract breaks, with documents that prove it.

    Exit codes: 0 compatible, 1 breaking, 2 wrong usage.
    """
    from weenats_codegen.cli import diff

    raise typer.Exit(diff.diff(old, new, "json" if json else output))


@app.command(epilog=example("weenats lint schemas/receipts"))
def lint(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    schemas: Schemas = [Path("schemas")],  # noqa: B006 - typer copies it
    *,
    fail_on: Annotated[
        Literal["error", "warning"],
        typer.Option(help="The lowest level of findings that make the command fail."),
    ] = "warning",
    rules: Annotated[bool, typer.Option("--rules", help="List the rules instead.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="Show why a rule exists, and what is right, instead."),
    ] = None,
    json: Json = False,
) -> None:
    """Find errors in contracts, and what will hurt later."""
    from weenats_codegen.cli import lint

    if explain is not None:
        check_unused(context, "cannot be used with --explain", "schemas", "fail_on", "rules")
        lint.explain(explain, as_json=json)
    elif rules:
        check_unused(context, "cannot be used with --rules", "schemas", "fail_on")
        lint.list_rules(as_json=json)
    else:
        lint.lint(schemas, fail_on, as_json=json)


@app.command(epilog=example("weenats docs schemas --out site"))
def docs(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    schemas: Schemas = [Path("schemas")],  # noqa: B006 - typer copies it
    out: Annotated[
        Path,
        typer.Option(
            readable=False, metavar="DIR", help="The folder of the page and the documents."
        ),
    ] = Path("site"),
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page instead, and reload it on changes.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="The port of --serve; 0 is any.")
    ] = 8000,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="nats://...", help="The contracts of the services that run, instead of files."
        ),
    ] = None,
    of_weenats: Annotated[
        bool, typer.Option("--self", help="Open the guides of this version of weenats instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Write one HTML page of contracts, and an AsyncAPI document of each."""
    if of_weenats:
        check_unused(
            context, "cannot be used with --self", "schemas", "out", "serve", "port", "against"
        )
        from weenats_codegen.cli import guides

        guides.show(as_json=json)
        return
    from weenats_codegen.cli import docs

    if not serve:
        check_unused(context, "needs --serve", "port")
    if against is not None:
        check_unused(context, "cannot be used with --against", "schemas", "serve")
        docs.docs_against(against, out, as_json=json)
    elif serve:
        check_unused(context, "cannot be used with --serve", "out")
        docs.serve(schemas, port, as_json=json)
    else:
        docs.docs(schemas, out, as_json=json)


class _RunCommand(TyperCommand):
    """Shows the environment variables of services in its help."""

    @override
    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from weenats_codegen.cli.environment_variables import variables

        with formatter.section("Environment variables, which a generated app.py reads"):
            formatter.write_dl(variables())
        super().format_epilog(ctx, formatter)


@app.command(cls=_RunCommand, epilog=example("weenats run receipts.handlers:Receipts --embedded"))
def run(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME",
            help="Handlers, their class, or a NatsServiceBuilder; "
            "modules are also found in the working directory and in `generated`.",
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
        bool,
        typer.Option(
            "--embedded",
            help="Start a nats-server for the service; its data is removed at the end.",
        ),
    ] = False,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Restart when modules or contracts change (development)."),
    ] = False,
    schemas: Annotated[
        Path,
        typer.Option(
            readable=False, metavar="DIR", help="With --reload: the folder of the contracts."
        ),
    ] = Path("schemas"),
    out: Annotated[
        Path,
        typer.Option(
            readable=False, metavar="DIR", help="With --reload: the folder of their packages."
        ),
    ] = Path("generated"),
    processes: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Serve in N processes, which are replaced when they end; auto: one per core.",
        ),
    ] = None,
    json: Json = False,
    process: Annotated[int | None, typer.Option(hidden=True)] = None,
    report_to: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve a contract until SIGTERM or Ctrl-C."""
    if embedded:  # NATS_URL may be set for other commands
        check_unused(context, "cannot be used with --embedded", "servers")
    if not reload:
        check_unused(context, "needs --reload", "schemas", "out")
    count = _process_count(processes)
    if reload and count is not None:
        raise typer.BadParameter("--reload and --processes cannot be used together")
    if reload:
        from weenats_codegen.cli import reload as reloading

        project = reloading.Project.of(target, schemas, out)
        code = reloading.reload(target, split(servers), project, embedded=embedded, as_json=json)
        raise typer.Exit(code)
    if count is not None:
        from weenats_codegen.cli.processes import serve_in_processes

        code = serve_in_processes(target, split(servers), count, embedded=embedded, as_json=json)
        raise typer.Exit(code)
    from weenats_codegen.cli import run

    of_many = (
        None if process is None or report_to is None else run.ProcessOfMany(process, report_to)
    )
    run.run(target, split(servers), embedded=embedded, as_json=json, process=of_many)


@app.command(epilog=example("weenats mock schemas/receipts --embedded"))
def mock(  # noqa: PLR0913 - the options of a user
    context: typer.Context,
    contract: OneContract,
    servers: Servers = LOCAL,
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a nats-server for the mock.")
    ] = False,
    latency: Annotated[
        float, typer.Option(min=0, max=86400, metavar="SECONDS", help="Seconds before each answer.")
    ] = 0.0,
    error: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPERATION=ERROR", help="Answer an operation with a declared error; repeatable."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve a contract from its examples, before the service exists."""
    from weenats_codegen.cli import mock

    if embedded:  # NATS_URL may be set for other commands
        check_unused(context, "cannot be used with --embedded", "servers")
    mock.mock(
        contract, split(servers), error or [], latency=latency, embedded=embedded, as_json=json
    )


@app.command(
    epilog=example(
        """weenats call receipts add-item r-1 '{"name": "Tea", "price": 3.5, "quantity": 2}'"""
    )
)
def call(  # noqa: PLR0913, PLR0917 - the options of a call
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", callback=own_service, help="The service.")
    ],
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="The command or query.")],
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="The key; operations of the service itself have none."),
    ] = None,
    payload: Annotated[
        str | None, typer.Argument(metavar="JSON", help="The payload; - reads standard input.")
    ] = None,
    servers: Servers = LOCAL,
    timeout: Timeout = 5.0,
    token: Token = None,
    message_id: Annotated[
        str | None,
        typer.Option(
            metavar="ULID",
            callback=own_message_id,
            help="The message id, to repeat a command with that of its first call.",
        ),
    ] = None,
    if_revision: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Run the command only if the aggregate has this revision, 0 if it has no events "
            "yet; only with store: stream.",
        ),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Call an operation of a running service."""
    from weenats.protocol.headers import IF_REVISION
    from weenats_codegen.cli import call

    values = tuple(each for each in (key, payload) if each is not None)
    lines = {} if if_revision is None else {IF_REVISION: str(if_revision)}
    arguments = call.Arguments(service, operation, values, timeout, token, lines, message_id)
    call.call(arguments, split(servers), as_json=json)


app.command(epilog=example("weenats rebuild loyalty.projections:BY_STATUS"))(rebuild)
app.command(epilog=example("weenats history wallets w-1"))(history)
app.command(epilog=example("weenats state wallets w-1 --revision 3"))(state)


@app.command(epilog=example("weenats explain receipts.handlers:Receipts add-item"))
def explain(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:BUILDER", help="As for `run`; nothing is started.")
    ],
    operation: Annotated[
        str | None, typer.Argument(metavar="OPERATION", help="Show only this command or query.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show the effective settings of each operation, and where they come from."""
    from weenats_codegen.cli import explain

    explain.explain(target, operation, as_json=json)


app.command(
    epilog=example("weenats permissions schemas/receipts --role client --operations add-item,get")
)(permissions)
app.add_typer(streams)
app.add_typer(dead_letters)


@app.command(epilog=example("weenats services --json"))
def services(service: OneService = None, servers: Servers = LOCAL, *, json: Json = False) -> None:
    """List the running services, their instances and statistics."""
    from weenats_codegen.cli import services

    services.services(service, split(servers), as_json=json)


@app.command(epilog=example("weenats top receipts"))
def top(
    service: OneService = None,
    servers: Servers = LOCAL,
    interval: Annotated[
        float,
        typer.Option(min=0.1, max=3600, metavar="SECONDS", help="Seconds between two updates."),
    ] = 1.0,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Measure one interval, show it, and exit.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print each update as one JSON document on one line.")
    ] = False,
) -> None:
    """Show live statistics of the running instances, until Ctrl-C."""
    from weenats_codegen.cli import top

    top.top(service, split(servers), interval=interval, once=once, as_json=json)


@app.command(epilog=example("weenats health receipts"))
def health(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", callback=_any_service, help="The service.")
    ],
    instance: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only the instance with this id (default: all)."),
    ] = None,
    servers: Servers = LOCAL,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.001, max=86400, metavar="SECONDS", help="Seconds to wait for the replies."
        ),
    ] = 5.0,
    *,
    json: Json = False,
) -> None:
    """Show whether the instances of a service are ready; exit with 1 if one is not."""
    from weenats_codegen.cli import health

    health.health(service, instance, split(servers), timeout=timeout, as_json=json)


@app.command(epilog=example("weenats demo"))
def demo(*, json: Json = False) -> None:
    """Run a demo, from a contract to calls and events."""
    from weenats_codegen.cli import demo

    demo.demo(as_json=json)


command = typer.main.get_command(app)
"""The program, built once: `app()` would build it for each call."""
