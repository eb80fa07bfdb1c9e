"""The IR -> the files of a package; the templates decide nothing."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from weenats_codegen.ir.contract import Auth, Contract, Operation, RateLimit
from weenats_codegen.ir.shapes import Shapes
from weenats_codegen.render import literals
from weenats_codegen.render.json_schemas import render_json_schemas
from weenats_codegen.render.models import (
    UnsupportedSchemaError,
    deprecated_classes,
    render_models,
)
from weenats_codegen.reserved import MARK

HANDLERS: Final = "handlers.py"
"""The stub of the handlers."""
STUBS: Final = (HANDLERS, "app.py")
"""The files that the user edits: the handlers, and the program that serves them."""

_MODULES: Final = ("errors.py", "operations.py", "client.py", "service.py", "__init__.py", *STUBS)
_MAX_PATH_LENGTH: Final = 60
_DEPRECATED: Final = "# pyright: reportDeprecated=false"
"""Allows generated code to use the classes of schemas that are deprecated."""


def render(contract: Contract) -> dict[str, str]:
    """Return the files of the contract's package by name, not formatted yet."""
    contract, models = _with_models(contract)
    header = f"{MARK}{source_of(contract)}. Do not edit."
    has_deprecated = bool(deprecated_classes(contract.shapes.definitions))
    if has_deprecated:
        header += f"\n{_DEPRECATED}"
    operations = [operation.constant for operation in contract.operations]
    aggregates = [aggregate.constant for aggregate in contract.aggregates]
    events = [event.constant for event in contract.events]
    constants = ["CONTRACT", *aggregates, *operations, *events]
    errors = [error.class_name for error in contract.errors]
    values = {
        "contract": contract,
        "header": header,
        "constants": constants,
        "errors": errors,
        "pyright": _DEPRECATED if has_deprecated else "",
        "exports": {
            "client": [contract.client],
            "errors": errors,
            "models": contract.models,
            "operations": constants,
            "service": [contract.handlers],
        },
    }
    title = f'"""The models of {contract.service}, generated from the schemas of its contract."""'
    files = {name: _environment().get_template(f"{name}.jinja").render(values) for name in _MODULES}
    files["models.py"] = f"{header}\n{title}\n\n{models}"
    if contract.judged:
        files["json_schemas.py"] = render_json_schemas(contract, header)
    files["py.typed"] = ""
    return files


def _with_models(contract: Contract) -> tuple[Contract, str]:
    """Return a contract and the source of its models.

    Schemas for which datamodel-code-generator fails become JSON values; their judges remain.
    """
    try:
        return contract, render_models(contract.shapes.definitions)
    except UnsupportedSchemaError:
        shapes = contract.shapes
        failing = {root for root in shapes.reasons if not _has_models(shapes.only([root]))}
        shapes = shapes.without_models(failing or shapes.reasons)
        return replace(contract, shapes=shapes), render_models(shapes.definitions)


def _has_models(shapes: Shapes) -> bool:
    """Return whether models can be generated from some shapes."""
    try:
        render_models(shapes.definitions)
    except UnsupportedSchemaError:
        return False
    return True


def source_of(contract: Contract) -> str:
    """Return the contract's path for the header, or a shorter one if it is absolute or too long."""
    path = PurePosixPath(contract.file)
    fits = len(contract.file) <= _MAX_PATH_LENGTH and contract.file.isprintable()
    return contract.file if fits and not path.is_absolute() else f"{contract.service}/{path.name}"


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
        return f"AuthRequirement(scopes={_tuple(map(literals.string, auth.scopes))})"
    return f"AuthRequirement(required={auth.required})"


def rate_limit(limit: RateLimit) -> str:
    """Return the source of the rate limit in a descriptor."""
    burst = "" if limit.burst is None else f", burst={limit.burst!r}"
    return f"RateLimit(max_requests_per_second={limit.max_requests_per_second!r}{burst})"


def _tuple(names: Iterable[str]) -> str:
    """Return the source of a tuple."""
    text = ", ".join(names)
    return f"({text},)" if text and ", " not in text else f"({text})"


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - what is written is Python; the filters below escape it
        loader=PackageLoader("weenats_codegen.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "tuple": _tuple,
        "auth_requirement": auth_requirement,
        "rate_limit": rate_limit,
        "string": literals.string,
        "docstring": literals.docstring,
        "operation_docstring": operation_docstring,
    }
    return environment
