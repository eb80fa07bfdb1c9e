"""Names of contracts that generated code uses itself: all of them give packages that work."""

import builtins
import importlib
import importlib.metadata
import json
import keyword
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pydantic
import pytest

import weenats
import weenats.contract
import weenats.events
from weenats.client import ServiceClient
from weenats.service import ServiceHandlers
from weenats_codegen import naming, reserved
from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError

Contract = Callable[..., dict[str, Any]]
Generate = Callable[..., ModuleType]
FIELDS = {
    "id": {"type": "string", "format": "uuid"},
    "when": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "at": {"type": "string", "format": "time"},
    "long": {"type": "string", "format": "duration"},
    "four": {"type": "string", "format": "ipv4"},
    "six": {"type": "string", "format": "ipv6"},
    "kind": {"enum": ["a", "b"]},
    "some": {"type": "array", "items": {"type": "string", "pattern": "^a"}, "maxItems": 3},
    "each": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
}
"""Properties that make models import all that they may import."""
USED = sorted(
    {
        *reserved.classes(), *reserved.methods(), *dir(builtins),
        *keyword.kwlist, *keyword.softkwlist, *dir(ServiceClient), *dir(ServiceHandlers),
        *weenats.__all__, *weenats.contract.__all__, *weenats.events.__all__, *pydantic.__all__,
        "key", "command", "context", "options", "data", "handler", "self", "cls", "Thing", "Things",
        "client", "errors", "handlers", "models", "operations", "service", "app", "main", "builder",
    }
)  # fmt: skip


def names(spelling: Callable[[str], str]) -> list[str]:
    """Return the used names as a contract may have them, of which no two are equal in Python.

    Another spelling has only the names that it changes, since each name costs time.
    """
    methods: dict[str, str] = {}
    for name in USED:
        candidate = spelling(name.strip("_"))
        if spelling is not str and candidate == name.strip("_"):
            continue
        if candidate[:1].isalpha() and not candidate.lower().startswith(("publish", "subscribe")):
            methods.setdefault(naming.method_name(candidate), candidate)
    classes = {naming.class_name(each): each for each in methods.values()}
    return [each for name, each in classes.items() if name != "Thing"]


@pytest.mark.slow
@pytest.mark.parametrize("spelling", [str, str.lower])
def test_any_used_name_is_an_operation(
    generated: Generate, contract_of: Contract, spelling: Callable[[str], str]
) -> None:
    """Commands, their schemas and events may have the names that generated code uses."""
    every = names(spelling)
    half = len(every) // 2
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    contract = contract_of(
        {"type": "object", "properties": FIELDS, "required": ["id"]},
        commands={
            name: {
                "description": "Run.",
                "payload": schema,
                "rateLimit": {"maxRequestsPerSecond": 5},
                "auth": {"scopes": ["a"]},
                "timeout": 1,
            }
            for name in every[:half]
        },
        events={name: {"description": "It ran.", "data": schema} for name in every[half:]},
    )
    package = generated(contract)
    check_package(package, {"get_thing", *(naming.method_name(name) for name in every[:half])})


@pytest.mark.slow
@pytest.mark.parametrize("spelling", [str, str.lower])
def test_any_used_name_is_a_query_or_an_error(
    generated: Generate, contract_of: Contract, spelling: Callable[[str], str]
) -> None:
    """Queries and errors may have the names that generated code uses."""
    every = [name for name in names(spelling) if name.lower() != "get"]
    half = len(every) // 2
    closed = {"type": "object", "additionalProperties": False}
    errors = {naming.error_class_name(name): name for name in every[:half]}
    contract = contract_of(
        errors={
            name: {"code": "NOT_FOUND", "description": "Lost.", "details": closed}
            for name in errors.values()
        },
        queries={name: {"description": "Ask.", "result": closed} for name in every[half:]},
    )
    package = generated(contract)
    check_package(package, {naming.method_name(name) for name in every[half:]})


def test_schema_named_like_a_constant(generated: Generate, contract_of: Contract) -> None:
    """A class has not the name of the constant that each package exports."""
    contract = contract_of()
    contract["aggregates"]["CONTRACT"] = contract["aggregates"]["thing"]
    package = generated(contract)
    assert package.CONTRACT.name == "things"
    assert package.CONTRACT_AGGREGATE.state is package.CONTRACTModel


def is_defined_in(value: object, module: ModuleType) -> bool:
    """Return whether a value is a class of a module."""
    return isinstance(value, type) and value.__module__ == module.__name__


def check_package(package: ModuleType, methods: set[str]) -> None:
    """Import every module of a package, and create its handlers."""
    for name in ("client", "errors", "handlers", "models", "operations", "service", "app"):
        importlib.import_module(f"{package.__name__}.{name}")
    module = sys.modules[f"{package.__name__}.handlers"]
    (handlers,) = (each for each in vars(module).values() if is_defined_in(each, module))
    assert len(handlers().endpoints()) == len(methods)
    assert methods <= set(dir(package.ThingsClient))
    assert len({*package.__all__}) == len(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith(package.__name__) or name.isupper()


@pytest.mark.slow
def test_any_used_name_is_a_property(generated: Generate, contract_of: Contract) -> None:
    """Properties may have the names of attributes, types, keywords and formats."""
    taken = [*FIELDS, *USED, *dir(pydantic.BaseModel), *dir(type), "date", "time", "timedelta"]
    properties = {
        name: {"type": "string", "format": "date"} if name in {"date", "time"} else form
        for name, form in zip(taken, [*FIELDS.values()] * len(taken), strict=False)
    }
    unique = {naming.field_name(name): name for name in properties if name.strip("_")}
    contract = contract_of(
        {"type": "object", "properties": {name: properties[name] for name in unique.values()}}
    )
    package = generated(contract)
    fields = package.Thing.model_fields
    assert {field.alias or name for name, field in fields.items()} == set(unique.values())
    thing = package.Thing.model_validate_json('{"date": "2026-01-02", "kind": "a"}')
    assert thing.model_dump_json() == '{"kind":"a","date":"2026-01-02"}'


@pytest.mark.parametrize(
    "properties",
    [
        ["lineTotal", "line_total"],
        ["model_dump", "field_model_dump"],
        ["copy", "Copy"],
        ["é", "e\u0301"],
        ["\ufb01", "fi"],
        ["int", "INT"],
        ["__class__", "class"],
    ],
)
def test_properties_equal_in_python_get_numbers(
    generated: Generate, contract_of: Contract, properties: list[str]
) -> None:
    """Properties that have one Python name are told apart: by case, normalization, reservation."""
    state = {"type": "object", "properties": {name: {"type": "string"} for name in properties}}
    thing = generated(contract_of(state)).Thing
    values = dict(zip(properties, ["one", "two"], strict=True))
    assert thing.model_validate_json(json.dumps(values)).model_dump() == values
    first, second = thing.model_fields
    assert second == f"{first}_2"


def test_imported_names_are_known() -> None:
    """The names that templates and models import are reserved."""
    models = {"Field", "BaseModel", "IPv4Address", "UUID", "AwareDatetime", "Literal", "MISSING"}
    assert models | {"TypeAliasType", "AuthRequirement", "RateLimit"} <= reserved.classes()
    assert {"override", "abstractmethod", "with_timeout", "endpoints"} <= reserved.methods()


@pytest.mark.parametrize(
    "package",
    ["requests", "certifi", "google", "cryptography", "yaml", "opentelemetry", "sitecustomize"],
)
def test_service_named_like_library_is_refused(
    tmp_path: Path, contract_of: Contract, write_contract: Callable[..., Path], package: str
) -> None:
    """A service whose package would hide an installed one is refused, and another package helps."""
    contract = contract_of(service=package.replace("_", "-"))
    folder = write_contract(tmp_path / "a", contract)
    with pytest.raises(ContractError, match=rf"set python.package .* {package}_service"):
        read_contracts([folder])
    write_contract(tmp_path / "a", {**contract, "python": {"package": f"{package}_service"}})
    assert read_contracts([folder])[0].package == f"{package}_service"


def test_every_installed_package_is_known() -> None:
    """Whatever distributions bring is known, apart from what cannot be imported."""
    installed = [
        name for name in importlib.metadata.packages_distributions() if name.isidentifier()
    ]
    missing = [name for name in installed if reserved._spec(name) and not reserved.is_package(name)]
    assert missing == []


def test_generated_package_on_path_is_no_clash(
    tmp_path: Path, generated: Generate, contract_of: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that weenats generated may be generated again, and others hide no name."""
    package = generated(contract_of())
    folder = Path(str(package.__file__)).parents[1]
    monkeypatch.syspath_prepend(str(folder))
    assert not reserved.is_package("things")
    monkeypatch.chdir(tmp_path)
    for name, text in (("mine/__init__.py", ""), ("single.py", "x = 1\n"), ("bare/data.txt", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [reserved.is_package(name) for name in ("mine", "single", "bare")] == [True, True, False]


@pytest.mark.parametrize("service", ["service", "exception", "unimplemented-error", "override"])
def test_service_named_like_class(generated: Generate, contract_of: Contract, service: str) -> None:
    """The handlers of a service have a class that hides no other name."""
    package = generated(contract_of(service=service))
    importlib.import_module(f"{package.__name__}.handlers")
