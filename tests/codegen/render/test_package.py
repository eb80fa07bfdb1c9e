"""A generated package: descriptors, errors, handlers, client and exports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

import pytest
from datamodel_code_generator import Error

import weenats
from weenats import Entity
from weenats_codegen.generate import generate
from weenats_codegen.loading import read
from weenats_codegen.render import models
from weenats_codegen.render.package import render

CONTRACT: dict[str, Any] = {
    "errors": {
        "full": {"code": "RESOURCE_EXHAUSTED", "description": "It is full."},
        "taken": {
            "code": "ALREADY_EXISTS",
            "description": "It is taken.",
            "details": {
                "type": "object",
                "required": ["by"],
                "properties": {"by": {"type": "string"}},
            },
        },
    },
    "commands": {
        "take": {
            "description": "Take it.",
            "payload": {"type": "object", "properties": {"by": {"type": "string"}}},
            "errors": ["full", "taken"],
            "emits": ["taken-over"],
            "idempotent": True,
        },
        "drop": {
            "description": "Drop it.",
            "payload": {"type": "object", "additionalProperties": False},
            "result": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        },
    },
    "queries": {
        "get": {"description": "Show it.", "errors": ["full"]},
        "count": {
            "description": "Count it.",
            "parameters": {"type": "object", "properties": {"up-to": {"type": "integer"}}},
            "result": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    },
    "events": {
        "taken-over": {
            "description": "It was taken.",
            "data": {"type": "object", "properties": {"by": {"type": "string"}}},
        },
    },
}


@pytest.fixture(scope="module")
def package(generated: Callable[..., Any], contract_of: Callable[..., Any]) -> ModuleType:
    """Package of a contract with commands, queries, events and errors."""
    return generated(contract_of(**CONTRACT))


def test_command_descriptor(package: ModuleType) -> None:
    """The descriptor of a command has the values of the contract."""
    assert package.TAKE.subject == "things.command.thing.take"
    assert package.TAKE.payload is package.Take
    assert package.TAKE.result is NoneType
    assert package.TAKE.errors == (package.FullError, package.TakenError)
    assert package.TAKE.emits == (package.TAKEN_OVER,)
    assert package.TAKE.idempotent
    assert package.DROP.result is package.DropResult


def test_query_descriptor(package: ModuleType) -> None:
    """`get` returns the entity without parameters; other queries follow the contract."""
    assert package.GET_THING.parameters is NoneType
    assert package.GET_THING.result is Entity[package.Thing]
    assert package.COUNT.parameters is package.CountParameters
    assert package.COUNT.result is package.CountResult


def test_event_descriptor(package: ModuleType) -> None:
    """The descriptor of an event has its data type and its subject."""
    assert package.TAKEN_OVER.subject == "things.events.thing.taken-over"
    assert package.TAKEN_OVER.data is package.TakenOver


def test_error_without_details(package: ModuleType) -> None:
    """It extends the class of its code; the description is the default message."""
    error = package.FullError()
    assert isinstance(error, weenats.ResourceExhaustedError)
    assert (error.name, error.message) == ("full", "It is full.")
    assert package.FullError.details_type is None


def test_error_with_details_requires_them(package: ModuleType) -> None:
    """Details that the contract declares are a required argument."""
    error = package.TakenError("gone", details=package.TakenDetails(by="me"))
    assert (error.message, error.details.by) == ("gone", "me")
    assert package.TakenError.details_type is package.TakenDetails
    with pytest.raises(TypeError):
        package.TakenError()


def test_handlers_class_is_abstract(package: ModuleType) -> None:
    """A subclass that lacks a handler cannot be instantiated."""
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (package.ThingsHandlers,), {"take": None, "drop": None, "get_thing": None})()


def test_stub_has_all_endpoints(package: ModuleType) -> None:
    """The generated handlers.py has an endpoint for every operation."""
    handlers = __import__(f"{package.__name__}.handlers", fromlist=["Things"])
    endpoints = handlers.Things().endpoints()
    described = [package.TAKE, package.DROP, package.GET_THING, package.COUNT]
    assert [endpoint.operation for endpoint in endpoints] == described


async def test_generated_app_serves_stub(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch, nats_url: str
) -> None:
    """The generated app.py serves the stub on the servers in NATS_URL."""
    monkeypatch.setenv("NATS_URL", nats_url)
    app = __import__(f"{package.__name__}.app", fromlist=["builder"])
    async with app.builder().build(), package.ThingsClient.connect(nats_url) as client:
        with pytest.raises(weenats.UnimplementedError):
            await client.get_thing("k")


def test_client_methods_have_one_await(package: ModuleType) -> None:
    """Every generated client method only calls the runtime once."""
    source = inspect.getsource(package.client)
    methods = source.split("async def ")[1:]
    assert len(methods) == 6
    assert all(method.count("await ") == 1 for method in methods)


def test_method_docstrings_from_contract(package: ModuleType) -> None:
    """A docstring has the description, the emitted events and the raised errors."""
    assert inspect.getdoc(package.ThingsClient.take) == (
        "Take it.\n\nEmits taken-over.\n\n"
        "Raises:\n    FullError: It is full.\n    TakenError: It is taken."
    )


def test_all_lists_public_names(package: ModuleType) -> None:
    """`__all__` lists all public names, and each of them exists."""
    expected = {
        *("CONTRACT", "COUNT", "DROP", "GET_THING", "TAKE", "TAKEN_OVER", "THING_AGGREGATE"),
        *("ThingsClient", "ThingsHandlers", "FullError", "TakenError"),
        *("Thing", "Take", "Drop", "DropResult", "CountParameters", "CountResult"),
        *("TakenDetails", "TakenOver"),
    }
    assert set(package.__all__) == expected
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize(
    ("service", "kind", "stub"),
    [("things", "thing", "Things"), ("thing", "thing", "ThingService")],
)
def test_stub_name_differs_from_model(
    generated: Callable[..., Any],
    contract_of: Callable[..., Any],
    service: str,
    kind: str,
    stub: str,
) -> None:
    """A service named like its aggregate gets a stub class with a different name."""
    contract = contract_of(service=service)
    contract["aggregates"] = {kind: contract["aggregates"]["thing"]}
    package = generated(contract)
    assert hasattr(__import__(f"{package.__name__}.handlers", fromlist=[stub]), stub)


def test_custom_package_name(
    tmp_path: Path, contract_of: Callable[..., Any], write_contract: Callable[..., Path]
) -> None:
    """`python: {package: ...}` sets the package name."""
    folder = write_contract(tmp_path / "c", contract_of(python={"package": "own_name"}))
    report = generate([folder], tmp_path / "out")
    assert {path.parent.name for path in report.written} == {"own_name"}


@pytest.mark.parametrize("invents", [True, False])
def test_schemas_without_models_are_json_values(
    contract_of: Callable[..., dict[str, Any]],
    write_contract: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    invents: bool,
) -> None:
    """Where no model can be generated, the type is any JSON value, and the schema is checked."""
    payload = {"type": "object", "properties": {"broken": {"type": "string"}}}
    contract = contract_of(commands={"do": {"description": "Do it.", "payload": payload}})

    def fail(schema: dict[str, Any], **settings: Any) -> object:
        if "broken" not in str(schema):
            return make(schema, **settings)
        if invents:
            return f"{make(schema, **settings)}\nclass Invented:\n    pass\n"
        raise Error("cannot resolve this")

    make = models.generate
    monkeypatch.setattr(models, "generate", fail)
    files = render(read(write_contract(tmp_path, contract)))
    assert "Do = TypeAliasType('Do', JsonValue)" in files["models.py"]
    assert "class Thing(Model):" in files["models.py"]
    assert 'payload=Schema[Do](Do, JSON_SCHEMAS["Do"])' in files["operations.py"]
