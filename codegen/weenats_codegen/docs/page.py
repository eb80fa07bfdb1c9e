"""One self-contained HTML page of one or many contracts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from weenats_codegen.docs.drawing import Drawing, drawing
from weenats_codegen.docs.facts import Facts
from weenats_codegen.docs.history import Version, history
from weenats_codegen.docs.rows import Row, rows
from weenats_codegen.ir.bundle import reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import JsonValue

    from weenats_codegen.ir.contract import Contract, DeclaredError, Event, Operation

_INLINE: Final = frozenset({"payload", "parameters", "result", "data"})
"""The schemas of operations and events that are shown there, unless others use them too."""
_TITLE_END: Final = " \N{EN DASH} contracts</title>"
_MAX_EXAMPLE: Final = 4_000
_MAX_SCHEMA: Final = 8_000


class SchemaView(NamedTuple):
    """A schema of the page.

    Attributes:
        name: The name of the definition.
        is_inline: Whether it is shown where it is used, not among the schemas.
        rows: Its members.
        example: A value that matches it, as JSON; "" if there is none.
        is_too_large: Whether there is none because it would be too large.
        text: The schema itself, as JSON.
    """

    name: str
    is_inline: bool
    rows: Sequence[Row]
    example: str
    is_too_large: bool
    text: str


class OperationView(NamedTuple):
    """A command or a query of the page."""

    anchor: str
    kind: str
    operation: Operation
    subject: str
    key: str | None
    payload: SchemaView | None
    result: SchemaView | None
    is_entity: bool
    errors: Sequence[tuple[DeclaredError, SchemaView | None]]
    general: Sequence[tuple[str, str]]
    python: str
    shell: str
    search: str


class EventView(NamedTuple):
    """An event of the page."""

    anchor: str
    event: Event
    subject: str
    emitters: Sequence[str]
    data: SchemaView | None
    python: str
    search: str


class ServiceView(NamedTuple):
    """A service of the page."""

    contract: Contract
    drawing: Drawing | None
    operations: Sequence[OperationView]
    events: Sequence[EventView]
    errors: Sequence[tuple[DeclaredError, Sequence[str]]]
    schemas: Sequence[SchemaView]
    versions: Sequence[Version]


def page(contracts: Iterable[Contract], *, reload: str = "") -> str:
    """Return the page.

    Args:
        contracts: The contracts, in the order in which the page shows them.
        reload: A URL that answers with another text when the page is to be loaded again; ""
            for a page that is a file.
    """
    views = [_service(contract) for contract in contracts]
    environment = _environment()
    text = environment.get_template("page.html.jinja").render(
        services=views,
        title=", ".join(view.contract.service for view in views[:5]),
        title_end=Markup(_TITLE_END),  # noqa: S704 - a constant
        style=_resource("style.css"),
        script=_resource("script.js"),
        reload=reload,
    )
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def is_page(text: str) -> bool:
    """Return whether a text is a page of contracts, of this version or another one."""
    return _TITLE_END in text


def _service(contract: Contract) -> ServiceView:
    facts = Facts(contract)
    bundle = contract.bundle
    schemas = {name: _schema(facts, name) for name in reachable(bundle.definitions, bundle.roots)}
    users = {
        error.name: [each.label for each in contract.operations if error in each.errors]
        for error in contract.errors
    }
    return ServiceView(
        contract,
        drawing(contract),
        [_operation(facts, each, schemas) for each in contract.operations],
        [_event(facts, each, schemas) for each in contract.events],
        [(error, users[error.name]) for error in contract.errors],
        [view for view in schemas.values() if not view.is_inline],
        history(Path(contract.file)),
    )


def _operation(facts: Facts, operation: Operation, schemas: dict[str, SchemaView]) -> OperationView:
    contract = facts.contract
    kind = "command" if facts.is_command(operation) else "query"
    errors = [(error, schemas.get(error.details)) for error in operation.errors]
    subject = facts.subject(operation)
    words = [operation.label, kind, subject, operation.description, contract.service]
    words += [f"{error.name} {error.code}" for error in operation.errors]
    words += ["deprecated"] * operation.deprecated
    return OperationView(
        anchor=f"{contract.service}.op-{operation.label}",
        kind=kind,
        operation=operation,
        subject=subject,
        key=facts.key(operation.aggregate),
        payload=schemas.get(operation.payload),
        result=schemas.get(facts.result(operation)),
        is_entity=bool(facts.state(operation)),
        errors=errors,
        general=list(_general(operation)),
        python=facts.python(operation),
        shell=facts.shell(operation),
        search=" ".join(words).lower(),
    )


def _event(facts: Facts, event: Event, schemas: dict[str, SchemaView]) -> EventView:
    contract = facts.contract
    subject = facts.subject(event)
    words = [event.name, "event", subject, event.description, contract.service]
    words += ["deprecated"] * event.deprecated
    words += [] if event.stream is None else ["durable", event.stream.name]
    return EventView(
        anchor=f"{contract.service}.event-{event.name}",
        event=event,
        subject=subject,
        emitters=[each.label for each in contract.commands if event in each.emits],
        data=schemas.get(event.data),
        python=facts.subscription(event),
        search=" ".join(words).lower(),
    )


def _general(operation: Operation) -> Iterable[tuple[str, str]]:
    """Yield the codes that a call may fail with besides declared errors, and why."""
    if operation.payload or operation.aggregate is not None:
        what = "key or payload" if operation.aggregate is not None else "payload"
        yield "INVALID_ARGUMENT", f"the {what} does not match the contract"
    if operation.auth is not None and operation.auth.required:
        yield "UNAUTHENTICATED", "the token is missing or not valid"
    if operation.auth is not None and operation.auth.scopes:
        yield "PERMISSION_DENIED", "the token lacks a scope"
    if operation.rate_limit is not None:
        yield "RESOURCE_EXHAUSTED", "the rate limit is exceeded"
    yield "UNAVAILABLE", "no instance takes the call"
    yield "DEADLINE_EXCEEDED", "the timeout is over"
    yield "INTERNAL", "the service has a bug"


def _schema(facts: Facts, name: str) -> SchemaView:
    bundle = facts.contract.bundle
    values = facts.sampler.definition(name)
    location = bundle.locations[name]
    users = sum(each == name for each in bundle.names.values())
    is_own = location.pointer.rpartition("/")[2] in _INLINE and location in bundle.names
    is_inline = is_own and users == 1 and name not in facts.referenced
    return SchemaView(
        name,
        is_inline,
        rows(bundle, name),
        _shortened(values[0], _MAX_EXAMPLE) if values else "",
        facts.sampler.is_too_large(name),
        _shortened(bundle.definitions[name], _MAX_SCHEMA),
    )


def _shortened(value: JsonValue, most: int) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > most:
        return f"{text[:most]}\n… ({len(text)} characters)"
    return text


def _paragraphs(text: str) -> list[str]:
    return [part for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


def _slug(text: str) -> str:
    """Return a text as the value of an id: what is not plain becomes its number."""
    return "".join(
        each if each.isascii() and (each.isalnum() or each in "-_.") else f"-{ord(each):x}-"
        for each in text
    )


def _resource(name: str) -> Markup:
    """Return a file of ours that goes into the page as it is."""
    path = Path(__file__).parent / "templates" / name
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("weenats_codegen.docs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for register in ("filters", "globals"):
        vars(environment)[register].update(slug=_slug, paragraphs=_paragraphs)
    return environment
