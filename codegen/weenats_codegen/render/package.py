"""The IR -> the files of a package; the templates decide nothing."""

from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from jinja2 import Environment

from weenats_codegen.ir.contract import Auth, Contract, Operation, RateLimit
from weenats_codegen.render import literals
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
from weenats_codegen.reserved import MARK

HANDLERS: Final = "handlers.py"
"""The stub of the handlers."""
STUBS: Final = (HANDLERS, "app.py")
"""The files that the user edits: the handlers, and the program that serves them."""

_CLIENT_MODULES: Final = (
    "errors.py",
    "operations.py",
    "client.py",
    "sync_client.py",
    "__init__.py",
)
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
    has_deprecated = bool(deprecated_classes(contract.shapes.definitions))
    if has_deprecated:
        header += f"\n{DEPRECATED}"
    operations = [operation.constant for operation in contract.operations]
    aggregates = [aggregate.constant for aggregate in contract.aggregates]
    events = [event.constant for event in contract.events]
    constants = ["CONTRACT", *aggregates, *operations, *events]
    errors = [error.class_name for error in contract.errors]
    checks: dict[str, str] = {}
    if not has_copies:
        checks = render_checks(contract.package, contract.bundle, contract.libraries, header)
    values = {
        "contract": contract,
        "header": header,
        "constants": constants,
        "errors": errors,
        "checks": checks,
        "pyright": DEPRECATED if has_deprecated else "",
        "exports": {
            "client": [contract.client],
            "sync_client": [contract.sync_client],
            "errors": errors,
            "models": contract.models,
            "operations": constants,
            "service": [] if client_only else [contract.handlers],
        },
    }
    title = f'"""The models of {contract.service}, generated from the schemas of its contract."""'
    modules = _CLIENT_MODULES if client_only else _CLIENT_MODULES + _SERVICE_MODULES
    files = {name: _environment().get_template(f"{name}.jinja").render(values) for name in modules}
    files["models.py"] = f"{header}\n{title}\n\n{models}"
    if contract.judged:
        files["json_schemas.py"] = render_json_schemas(contract, header)
    files |= {**checks, "py.typed": ""}
    return files


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
    text = operation.description
    if operation.emits:
        text = f"{text.rstrip()}\n\nEmits {operation.emitted}."
    sentences = [demand.sentence for demand in (operation.auth, operation.rate_limit) if demand]
    if sentences:
        text = f"{text.rstrip()}\n\n{' '.join(sentences)}"
    raises = {error.class_name: error.description for error in operation.errors}
    return literals.docstring(text, indent=8, raises=raises)


def auth_requirement(auth: Auth) -> str:
    """Return the source of the authentication requirement in a descriptor."""
    if auth.scopes:
        return f"AuthRequirement(scopes={tuple_source(map(literals.string, auth.scopes))})"
    return f"AuthRequirement(required={auth.required})"


def rate_limit(limit: RateLimit) -> str:
    """Return the source of the rate limit in a descriptor."""
    burst = "" if limit.burst is None else f", burst={limit.burst!r}"
    return f"RateLimit(max_requests_per_second={limit.max_requests_per_second!r}{burst})"


@cache
def _environment() -> Environment:
    """Return the templates, with filters for what contracts demand."""
    found = environment().overlay()
    found.filters = {
        **found.filters,
        "auth_requirement": auth_requirement,
        "rate_limit": rate_limit,
        "operation_docstring": operation_docstring,
    }
    return found
