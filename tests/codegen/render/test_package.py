"""A generated package: descriptors, errors, handlers, client and exports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

import pytest

import weenats
from weenats import Entity
from weenats_codegen.generate import generate

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
    """The package of a contract with everything that a contract can have."""
    return generated(contract_of(**CONTRACT))


def test_a_command_is_described(package: ModuleType) -> None:
    """The descriptor of a command has the values of the contract."""
    assert package.TAKE.subject == "things.command.thing.take"
    assert package.TAKE.payload is package.Take
    assert package.TAKE.result is NoneType
    assert package.TAKE.errors == (package.FullError, package.TakenError)
    assert package.TAKE.emits == (package.TAKEN_OVER,)
    assert package.TAKE.idempotent
    assert package.DROP.result is package.DropResult


def test_a_query_is_described(package: ModuleType) -> None:
    """`get` has no parameters and returns the entity; others return their result."""
    assert package.GET.parameters is NoneType
    assert package.GET.result is Entity[package.Thing]
    assert package.COUNT.parameters is package.CountParameters
    assert package.COUNT.result is package.CountResult


def test_an_event_is_described(package: ModuleType) -> None:
    """The descriptor of an event has its data and its subject."""
    assert package.TAKEN_OVER.subject == "things.events.thing.taken-over"
    assert package.TAKEN_OVER.data is package.TakenOver


def test_an_error_without_details_is_raised_as_it_is(package: ModuleType) -> None:
    """An error extends the class of its code, with its description as the message."""
    error = package.FullError()
    assert isinstance(error, weenats.ResourceExhaustedError)
    assert (error.name, error.message) == ("full", "It is full.")
    assert package.FullError.details_type is None


def test_an_error_with_details_asks_for_them(package: ModuleType) -> None:
    """Declared details are required."""
    error = package.TakenError("gone", details=package.TakenDetails(by="me"))
    assert (error.message, error.details.by) == ("gone", "me")
    assert package.TakenError.details_type is package.TakenDetails
    with pytest.raises(TypeError):
        package.TakenError()


def test_the_skeleton_asks_for_every_handler(package: ModuleType) -> None:
    """Handlers that lack an operation cannot be created."""
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (package.ThingsHandlers,), {"take": None, "drop": None, "get": None})()


def test_the_stub_serves_every_operation(package: ModuleType) -> None:
    """The stub handles every operation, with UNIMPLEMENTED."""
    handlers = __import__(f"{package.__name__}.handlers", fromlist=["Things"])
    endpoints = handlers.Things().endpoints()
    described = [package.TAKE, package.DROP, package.GET, package.COUNT]
    assert [endpoint.operation for endpoint in endpoints] == described


async def test_the_program_serves_the_stub(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch, nats_url: str
) -> None:
    """The builder in app.py serves the stub on NATS_URL."""
    monkeypatch.setenv("NATS_URL", nats_url)
    app = __import__(f"{package.__name__}.app", fromlist=["builder"])
    async with app.builder().build(), package.ThingsClient.connect(nats_url) as client:
        with pytest.raises(weenats.UnimplementedError):
            await client.get("k")


def test_the_client_has_one_statement_an_operation(package: ModuleType) -> None:
    """Each generated method of the client is one statement."""
    source = inspect.getsource(package.client)
    methods = source.split("async def ")[1:]
    assert len(methods) == 6
    assert all(method.count("await ") == 1 for method in methods)


def test_methods_are_documented_by_the_contract(package: ModuleType) -> None:
    """A docstring has the description, events and errors of the operation."""
    assert inspect.getdoc(package.ThingsClient.take) == (
        "Take it.\n\nEmits taken-over.\n\n"
        "Raises:\n    FullError: It is full.\n    TakenError: It is taken."
    )


def test_everything_public_is_exported(package: ModuleType) -> None:
    """`__all__` has all public names."""
    expected = {
        *("CONTRACT", "COUNT", "DROP", "GET", "TAKE", "TAKEN_OVER"),
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
def test_the_stub_stays_apart_from_the_models(
    generated: Callable[..., Any],
    contract_of: Callable[..., Any],
    service: str,
    kind: str,
    stub: str,
) -> None:
    """A service with the name of its aggregate gets a stub with another name."""
    contract = contract_of(service=service)
    contract["aggregate"]["type"] = kind
    package = generated(contract)
    assert hasattr(__import__(f"{package.__name__}.handlers", fromlist=[stub]), stub)


def test_the_package_may_be_named(
    tmp_path: Path, contract_of: Callable[..., Any], write_contract: Callable[..., Path]
) -> None:
    """`python: {package: ...}` names the folder."""
    folder = write_contract(tmp_path / "c", contract_of(python={"package": "own_name"}))
    report = generate([folder], tmp_path / "out")
    assert {path.parent.name for path in report.written} == {"own_name"}
