"""The command `run`: serves until SIGTERM or Ctrl-C, then finishes the requests it has accepted."""

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from weenats.errors import UnavailableError
from weenats.logging import JsonFormatter, LineFormatter, MessageFilter
from weenats.service import NatsService, NatsServiceBuilder
from weenats.service.event_loop import run as run_on_loop
from weenats.service.signals import StopSignals
from weenats.settings import EnvironmentSettings
from weenats.testing import NatsServer
from weenats.transport.servers import check_servers
from weenats_codegen.cli.connection import no_server
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import console, emit_line, output_optional, plain, warn
from weenats_codegen.cli.targets import build, builder_of, of_process, user_error

_LOG_JSON: Final = "WEENATS_LOG_JSON"
_PATIENCE: Final = 0.5
"""Seconds that connecting may take until the user is told of it."""
_YOUNG_OBJECTS: Final = 10_000
"""How many objects are created before a garbage collection, those that are freed not counted."""


class ProcessOfMany(NamedTuple):
    """One of the processes of `--processes`.

    Attributes:
        number: Its number, from 1.
        report_to: The file descriptor that takes what is announced, as JSON, instead of standard
            output.
    """

    number: int
    report_to: int


Announce = Callable[[NatsService, str], None]


def run(
    target: str,
    servers: Sequence[str],
    *,
    embedded: bool,
    as_json: bool,
    process: ProcessOfMany | None = None,
) -> None:
    """Serve MODULE:NAME on the given servers, on an embedded one, or on those of its builder."""
    pipe = None if process is None else os.fstat(process.report_to)
    is_first = process is None or process.number == 1
    builder = builder_of(
        target,
        warn_of_defaults if is_first else lambda _: None,
        partial(_log, of_many=process is not None),
    )
    announce_it = partial(announce, as_json=as_json)
    if process is not None and pipe is not None:
        builder = of_process(builder, process.number)
        announce_it = partial(report, to=process.report_to, pipe=pipe)
    if embedded:
        with NatsServer() as server:
            run_on_loop(serve(builder.with_servers(server.url), server.url, announce_it))
    elif servers:
        url = ", ".join(map(str, check_servers(servers)))
        run_on_loop(serve(builder.with_servers(servers), url, announce_it))
    else:
        run_on_loop(serve(builder, "", announce_it))


def _log(*, of_many: bool) -> None:
    """Log to standard error, unless the module of the user has set up logging itself.

    Args:
        of_many: Whether this is one of several processes: records have its id.

    Raises:
        CliError: WEENATS_LOG_JSON is not a boolean.
    """
    handler = logging.StreamHandler(sys.stderr)
    try:
        as_json = TypeAdapter(bool).validate_python(os.environ.get(_LOG_JSON) or "false")
    except ValidationError as error:
        raise CliError(f"{_LOG_JSON}: {error.errors()[0]['msg']}") from None
    if as_json:
        handler.addFilter(MessageFilter())
        handler.setFormatter(JsonFormatter())
        if of_many:
            handler.addFilter(_name_process)
    else:
        place = " [process %(process)d]" if of_many else ""
        handler.setFormatter(LineFormatter(f"%(levelname)s %(name)s{place}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _name_process(record: logging.LogRecord) -> bool:
    record.process_id = record.process
    return True


def warn_of_defaults(app: str) -> None:
    """Warn that handlers are served with default settings, whatever the environment says.

    Args:
        app: The target of the builder beside the handlers, "" if there is none.
    """
    variables = {name for name, *_ in EnvironmentSettings.variables()} - {"NATS_URL", _LOG_JSON}
    ignored = ", ".join(sorted(variables & os.environ.keys()))
    warn(
        "handlers are served with the defaults of NatsServiceBuilder"
        f"{ignored and f' (ignored: {ignored})'};"
        f" use {app or 'a builder of EnvironmentSettings'} to read the WEENATS_ variables"
    )


async def serve(builder: NatsServiceBuilder, url: str, announce_it: Announce) -> None:
    """Run one service until it is stopped.

    Args:
        builder: Its builder.
        url: The servers, without passwords, "" if only the builder knows them.
        announce_it: Announces the running service.

    Raises:
        CliError: The settings of the builder contradict each other, no server is available, or the
            lifespan of the handlers raised an exception.
    """
    service = build(builder)
    # Modules and models stay to the end: without this, each full garbage collection while requests
    # are served reads them all.
    gc.collect()
    gc.freeze()
    # Requests in flight have some fifty objects each, and leave no reference cycles.
    gc.set_threshold(_YOUNG_OBJECTS)
    waiting = asyncio.get_running_loop().call_later(_PATIENCE, warn_of_waiting, service)
    terminated = asyncio.Event()
    try:
        with StopSignals(terminated.set, unhandled=True):
            await service.start()
    except Exception as error:
        raise_lifespan_error(service)
        if not isinstance(error, UnavailableError):
            raise
        if terminated.is_set():
            return
        raise no_server(error) from None
    finally:
        waiting.cancel()
    try:
        stopped = asyncio.ensure_future(service.wait_until_stopped())
        await asyncio.sleep(0)  # the signal handlers are installed before the service is announced
        with output_optional():
            announce_it(service, url)
        await asyncio.wait([stopped])
    finally:
        await service.stop()
    raise_lifespan_error(service)
    stopped.result()


def raise_lifespan_error(service: NatsService) -> None:
    """Raise what the lifespan of the handlers raised, if it did, with its place.

    Raises:
        CliError: It did.
    """
    error = service.lifespan_error
    if error is not None:
        raise user_error(f"the lifespan of {service.contract.name}", error) from error


def warn_of_waiting(service: NatsService) -> None:
    """Warn that a service cannot start yet because it is not connected to NATS."""
    if not service.is_connected:
        where = f" at {service.servers}" if service.servers else ""
        warn(f"waiting for NATS{where}; --embedded starts a server for this service")


def announce(service: NatsService, url: str, *, as_json: bool) -> None:
    """Print which service is running, and where."""
    if as_json:
        emit_line(facts(service, url))
    else:
        on = f" on {plain(url)}" if url else ""  # with brackets of IPv6
        name, version = service.contract.name, service.contract.version
        console().print(f"[bold]{name}[/] {version} is running{on}; press Ctrl-C to stop")


def report(service: NatsService, url: str, *, to: int, pipe: os.stat_result) -> None:
    """Write to a file descriptor, on one line, which service is running, and where; close it.

    Args:
        service: The service.
        url: The servers, without passwords.
        to: The file descriptor.
        pipe: What it was at the start.

    Raises:
        CliError: Code of the service has closed it, perhaps with all others.
    """
    try:
        is_open = os.path.samestat(os.fstat(to), pipe)
    except OSError:
        is_open = False
    if not is_open:
        raise CliError(f"file descriptor {to} is needed to report that it serves, but was closed")
    with os.fdopen(to, "w", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(facts(service, url))}\n")


def facts(service: NatsService, url: str) -> dict[str, str | None]:
    """Return what is announced of a running service, as JSON."""
    return {
        "service": service.contract.name,
        "version": service.contract.version,
        "instance": service.instance_id,
        "servers": url or None,
    }
