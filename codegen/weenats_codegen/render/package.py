"""The IR -> the files of a package; the templates decide nothing."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from jinja2 import Environment

from weenats_codegen.ir.contract import Auth, Contract, Durability, Event, Operation, RateLimit
from weenats_codegen.ir.previous import EventVersion
from weenats_codegen.render import literals
from weenats_codegen.render.contract_document import render_contract_document
from weenats_codegen.render.environment import environment, shown_path, tuple_source
from weenats_codegen.render.json_schemas import render_json_schemas
from weenats_codegen.render.libraries import prefixed, render_checks
from weenats_codegen.render.models import (
    DEPRECATED,
    UnsupportedSchemaError,
    deprecated_classes,
    render_models,
    with_models,
)
from weenats_codegen.render.postprocess import deprecation
from weenats_codegen.reserved import MARK
from weenats_codegen.samples.sampler import Sampler

HANDLERS: Final = "handlers.py"
"""The stub of the handlers."""
CONTRACT_TEST: Final = "test_handlers.py"
"""The stub of the contract test."""
CONSUMER: Final = "consumer.py"
"""The consumer of durable events, of contracts that have some."""
STUBS: Final = (HANDLERS, "app.py", CONTRACT_TEST)
"""The files that the user edits: handlers, the program that serves them, and their test."""
UPCASTERS: Final = "upcasters.py"
"""The stub of the upcasters that the user writes; the package imports it."""

_CLIENT_MODULES: Final = (
    "errors.py",
    "operations.py",
    "client.py",
    "sync_client.py",
    "__init__.py",
)
_DEPRECATED: Final = "Deprecated: a later version will not have it."
_VENDORED: Final = ".libraries."
"""Where the libraries are in a package that has copies of them."""
_SERVICE_MODULES: Final = ("service.py", *STUBS)


def render(
    contract: Contract, *, client_only: bool = False, has_copies: bool = False
) -> dict[str, str]:
    """Return the files of the contract's package by name, not formatted yet.

    Args:
        contract: The contract.
        client_only: Whether the package has only what callers need.
        has_copies: Whether the package has copies of the libraries that it uses.
    """
    contract, models = _with_models(contract, _VENDORED if has_copies else "")
    header = f"{MARK}{source_of(contract)}. Do not edit."
    pyright = ""
    if _has_deprecated_members(contract) or deprecated_classes(contract.shapes.definitions):
        pyright = DEPRECATED
        header += f"\n{pyright}"
    checks: dict[str, str] = {}
    if not has_copies:
        checks = render_checks(contract.package, contract.bundle, contract.libraries, header)
    values = {
        "header": header,
        "pyright": pyright,
        "checks": checks,
        **_values(contract, client_only=client_only),
    }
    title = f'"""The models of {contract.service}, generated from the schemas of its contract."""'
    modules: list[str] = [*_CLIENT_MODULES]
    modules += [CONSUMER] * bool(contract.streams)
    modules += [UPCASTERS] * _has_upcasters(contract)
    modules += [] if client_only else _SERVICE_MODULES
    files = {name: _environment().get_template(f"{name}.jinja").render(values) for name in modules}
    files["models.py"] = f"{header}\n{title}\n\n{models}"
    files["contract_document.py"] = render_contract_document(contract, header)
    if contract.judged:
        files["json_schemas.py"] = render_json_schemas(contract, header)
    files |= {**checks, "py.typed": ""}
    return files


def _values(contract: Contract, *, client_only: bool) -> dict[str, object]:
    """Return what templates need to know about a contract."""
    operations = [operation.constant for operation in contract.operations]
    aggregates = [aggregate.constant for aggregate in contract.aggregates]
    events = [event.constant for event in contract.events]
    streams = [stream.constant for stream in contract.streams]
    constants = ["CONTRACT", *streams, *aggregates, *operations, *events]
    errors = [error.class_name for error in contract.errors]
    return {
        "contract": contract,
        "constants": constants,
        "errors": errors,
        "deprecated": _has_deprecated_members(contract),
        "has_upcasters": _has_upcasters(contract),
        **_decision(contract),
        "examples": [] if client_only else list(_examples(contract)),
        "exports": {
            "client": [contract.client],
            "consumer": [contract.consumer] if contract.streams else [],
            "sync_client": [contract.sync_client],
            "errors": errors,
            "models": contract.models,
            "operations": constants,
            "service": [] if client_only else [contract.handlers],
        },
    }


def _has_deprecated_members(contract: Contract) -> bool:
    members: tuple[Operation | Event, ...] = (*contract.operations, *contract.events)
    return any(member.deprecated for member in members)


def _has_upcasters(contract: Contract) -> bool:
    return any(each.function for event in contract.events for each in event.previous)


def _decision(contract: Contract) -> dict[str, str]:
    """Return the name of the class of decisions, and its import; a model may have the name."""
    taken = {*contract.models, *(error.class_name for error in contract.errors)}
    name = "AggregateDecision" if "Decision" in taken else "Decision"
    return {
        "decision": name,
        "decision_import": "Decision" if name == "Decision" else f"Decision as {name}",
    }


def _examples(contract: Contract) -> Iterator[str]:
    """Yield the sources of the examples for the contract test."""
    sampler = Sampler(contract.bundle)
    for operation in contract.handled:
        key = "" if operation.aggregate is None else sampler.key(operation.aggregate)
        payloads = sampler.definition(operation.payload) if operation.payload else [None]
        for payload in payloads if key is not None else []:
            arguments = [operation.constant]
            arguments += [f"key={key!r}"] * bool(key) + [f"payload={payload!r}"] * bool(
                operation.payload
            )
            yield f"testing.Example({', '.join(arguments)})"


def _with_models(contract: Contract, prefix: str) -> tuple[Contract, str]:
    """Return a contract and the source of its models.

    Schemas for which datamodel-code-generator fails become JSON values; their judges remain.

    Args:
        contract: The contract.
        prefix: What is before the names of the packages of libraries.
    """
    shared = prefixed(contract.shapes.shared, prefix)
    definitions = contract.shapes.definitions
    try:
        return contract, render_models(definitions, shared=shared, exported=contract.models)
    except UnsupportedSchemaError:
        contract = replace(contract, shapes=with_models(contract.shapes))
        definitions = contract.shapes.definitions
        return contract, render_models(definitions, shared=shared, exported=contract.models)


def source_of(contract: Contract) -> str:
    """Return the contract's path for the header, or a shorter one if it is absolute or too long."""
    name = PurePosixPath(contract.file).name
    return shown_path(contract.file, f"{contract.service}/{name}")


def operation_docstring(operation: Operation) -> str:
    """Return the docstring of an operation's method: its events, requirements and errors."""
    text = described(operation)
    if operation.emits:
        text = f"{text.rstrip()}\n\nEmits {operation.emitted}."
    sentences = [demand.sentence for demand in (operation.auth, operation.rate_limit) if demand]
    if operation.once is not None:
        sentences.append(
            f"For {operation.once:,} seconds, a call with the message_id of an earlier one gets its"
            " reply, and is not executed again."
        )
    if sentences:
        text = f"{text.rstrip()}\n\n{' '.join(sentences)}"
    raises = {error.class_name: error.description for error in operation.errors}
    return literals.docstring(text, indent=8, raises=raises)


def described(member: Operation | Event) -> str:
    """Return a description that also says that something is deprecated."""
    text = member.description
    return f"{text.rstrip()}\n\n{_DEPRECATED}" if member.deprecated else text


def deprecation_text(member: Operation | Event) -> str:
    """Return the source of the warning of a deprecated operation or event."""
    return literals.string(f"{member.name} is deprecated: {deprecation(member.description)}")


def auth_requirement(auth: Auth) -> str:
    """Return the source of the authentication requirement in a descriptor."""
    if auth.scopes:
        return f"AuthRequirement(scopes={tuple_source(map(literals.string, auth.scopes))})"
    return f"AuthRequirement(required={auth.required})"


def rate_limit(limit: RateLimit) -> str:
    """Return the source of the rate limit in a descriptor."""
    burst = "" if limit.burst is None else f", burst={limit.burst!r}"
    return f"RateLimit(max_requests_per_second={limit.max_requests_per_second!r}{burst})"


def event_version(version: EventVersion) -> str:
    """Return the source of an older version of an event in its descriptor."""
    if version.function:
        return f"EventVersion(upcaster=upcasters.{version.function})"
    removed = tuple_source(map(literals.string, version.removed))
    parts = {
        "renamed": literals.value({**version.renamed}) if version.renamed else "",
        "removed": removed if version.removed else "",
        "added": literals.value(version.added) if version.added else "",
    }
    given = ", ".join(f"{name}={source}" for name, source in parts.items() if source)
    return f"EventVersion({given})"


def durability_demand(demand: Durability) -> str:
    """Return the source of the demand on durability in the descriptor of a contract."""
    sync = "" if demand.sync is None else f", sync={demand.sync}"
    return f"DurabilityDemand(replicas={demand.replicas}{sync})"


@cache
def _environment() -> Environment:
    """Return the templates, with filters for what contracts demand."""
    found = environment().overlay()
    vars(found)["filters"] = {
        **found.filters,
        "auth_requirement": auth_requirement,
        "rate_limit": rate_limit,
        "durability": durability_demand,
        "event_version": event_version,
        "operation_docstring": operation_docstring,
        "described": described,
        "deprecation": deprecation_text,
    }
    return found
