"""Tables of the documents say what the code says."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tomllib
from functools import reduce
from typing import Any, is_typeddict

import pytest
from pydantic import BaseModel

import weenats
import weenats.logging
import weenats.projections
import weenats.testing
from testkit.documents import DOCUMENTS, Document, Table, document
from testkit.paths import REPOSITORY
from weenats.errors import CLASS_OF_CODE
from weenats.settings import EnvironmentSettings
from weenats.telemetry import semconv
from weenats_codegen.cli.app import command

COMMANDS: Any = command
REQUIRED = "required"


def of_options(prefix: str) -> list[Any]:
    """Return the tables whose first heading is code that begins so, as parameters of a test."""
    return [
        pytest.param(each, table, id=f"{each}:{table.header[0].strip('`')}")
        for each in DOCUMENTS
        for table in each.tables
        if table.header[0].startswith(f"`{prefix}")
    ]


def options(name: str) -> dict[str, Any]:
    """Return the options of something public by its name, with their defaults."""
    found: Any = reduce(getattr, name.split("."), weenats)
    if is_typeddict(found):
        return dict.fromkeys(found.__annotations__)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return {
            name: REQUIRED if field.is_required() else field.default
            for name, field in found.model_fields.items()
            if name != "type"
        }
    if dataclasses.is_dataclass(found):
        return {field.name: field.default for field in dataclasses.fields(found)}
    parameters = inspect.signature(found).parameters.values()
    return {
        each.name: REQUIRED if each.default is each.empty else each.default
        for each in parameters
        if each.name != "self" and each.kind is not each.VAR_KEYWORD
    }


def code(cell: str) -> str:
    """Return the first piece of code in a cell."""
    found = re.match(r"`([^`]+)`", cell)
    assert found is not None, cell
    return found[1]


@pytest.mark.parametrize(
    ("each", "table"),
    [case for case in of_options("") if not case.values[1].header[0].startswith("`weenats ")],
)
def test_options_and_defaults(each: Document, table: Table) -> None:
    """A table of options has each option of the code, with its default."""
    expected = options(code(table.header[0]))
    assert [code(cell) for cell in table.column(0)] == list(expected)
    if table.header[1] == "default":
        for name, cell in zip(expected, table.column(1), strict=True):
            shown = cell if cell == REQUIRED else ast.literal_eval(code(cell))
            assert shown == expected[name], name


@pytest.mark.parametrize(("each", "table"), of_options("weenats "))
def test_command_line_options(each: Document, table: Table) -> None:
    """A table of command line options has each option that the command shows."""
    names = code(table.header[0]).removeprefix("weenats ").split()
    command = reduce(lambda found, name: found.commands[name], names, COMMANDS)
    expected = {
        name
        for option in command.params
        if option.param_type_name == "option" and not option.hidden
        for name in option.opts
        if name != "--help"
    }
    assert {code(cell).split()[0] for cell in table.column(0)} == expected


def test_commands() -> None:
    """The command line reference has a section for each command."""
    text = document("codegen/README.md").text
    sections = re.findall(r"^### `weenats ([\w-]+)`$", text, re.MULTILINE)
    assert sections == list(COMMANDS.commands)


def test_builder_methods() -> None:
    """The service guide names each method of the builder, the client guide those of clients."""
    for name, kind in (
        ("service.md", weenats.NatsServiceBuilder),
        ("client.md", weenats.ServiceClient),
    ):
        text = document(f"runtime/docs/{name}").text
        methods = {each for each in vars(kind) if not each.startswith("_")}
        assert {each for each in methods if each not in text} == set(), name


def test_error_codes() -> None:
    """The table of error codes is the error tree."""
    text = document("runtime/docs/errors.md").text
    rows = re.findall(r"^\| ([A-Z_]+) \| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
    assert {code: (int(number), name) for code, number, name in rows} == {
        code: (error.number, error.__name__) for code, error in CLASS_OF_CODE.items()
    }


def source(*folders: str) -> str:
    """Return the Python code of some folders."""
    paths = (path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py")))
    return "\n".join(path.read_text() for path in paths)


def test_environment_variables() -> None:
    """The deployment guide lists the environment variables that the code reads."""
    settings = {variable.name for variable in EnvironmentSettings.variables()}
    read = re.findall(
        r'(?:environ(?:\.get)?[\[(]|envvar=)"(\w+)"', source("runtime", "codegen", "generated")
    )
    (table,) = (
        table
        for table in document("runtime/docs/deployment.md").tables
        if table.header[0] == "variable"
    )
    assert {code(cell) for cell in table.column(0)} == {*read, *settings}


def test_loggers() -> None:
    """The observability guide lists the loggers of the runtime."""
    names = set(re.findall(r'(?:getLogger|LimitedLogger)\("([\w.]+)"\)', source("runtime/weenats")))
    (table,) = (
        table
        for table in document("runtime/docs/observability.md").tables
        if table.header[0] == "logger"
    )
    assert {name for cell in table.column(0) for name in re.findall(r"`(.+?)`", cell)} == names


def test_telemetry_names() -> None:
    """The observability guide names each attribute, span event and metric."""
    text = document("runtime/docs/observability.md").text
    names = {
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and not value.startswith("http")
    }
    assert {name for name in names if name not in text} == set()


def test_layers() -> None:
    """The layers in the architecture guide are those that import-linter checks."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    drawings = [
        [line.split("  ")[0] for line in block.text.splitlines()]
        for block in document("runtime/docs/architecture.md").of_kind("")
    ]
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["name"] in ("runtime: layers", "codegen: layers"):
            assert contract["layers"] in drawings
