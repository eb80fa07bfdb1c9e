"""Code injection: text of a contract never becomes code."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject
from hypothesis import strategies as st

from testkit.properties import examples
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.render.package import render

NASTY = st.sampled_from(
    [
        '"""',
        "'''",
        '"); import os; os.abort(); ("',
        "\\",
        "\n\nimport os\n",
        "{{ contract }}",
        "{% include 'x' %}",
        "\u202e",
        "\\N{BULLET}",
        "# noqa",
        "{x!r}",
        "%(x)s",
        "\r",
        "\u2028",
        "__import__('os')",
        "x = 1",
        "class",
        "\x0c",
    ]
)
SHOWN = st.characters(codec="utf-8")
TEXTS = st.lists(st.one_of(NASTY, st.text(SHOWN, max_size=8)), min_size=1, max_size=5).map("".join)


def contract_of(text: str, name: str, value: str) -> dict[str, Any]:
    """Return a contract with this text everywhere, this property name and this value."""
    payload = {
        "title": text,
        "description": text,
        "type": "object",
        "required": [name],
        "properties": {
            name: {"type": "string", "description": text, "title": text, "examples": [text]},
            "other": {"type": "string", "default": value},
            "choice": {"enum": [value, "fixed"]},
            "tag": {"const": value},
        },
    }
    return {
        "service": "things",
        "version": "1.0.0",
        "description": text,
        "aggregates": {
            "thing": {
                "description": text,
                "state": payload,
                "commands": {"do": {"description": text, "payload": payload, "errors": ["no"]}},
                "queries": {"get": {"description": text}},
            }
        },
        "errors": {"no": {"code": "ABORTED", "description": text, "details": payload}},
        "events": {"done": {"description": text, "data": payload}},
    }


def rendered(contract: dict[str, Any]) -> dict[str, str]:
    """Return the generated files of a contract; raise ContractError if lint rejects it."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "service.json").write_text(json.dumps(contract))
        return render(read(Path(folder)))


def code_structure(source: str) -> list[str]:
    """Return the statements, calls and names of a module, without its strings."""
    lines: list[str] = []
    for node in ast.walk(ast.parse(source)):
        kind = type(node).__name__
        match node:
            case ast.Constant(value=str()):
                pass  # text, and nothing but text
            case ast.AnnAssign(target=ast.Name()) | ast.Name(ctx=ast.Store()):
                lines.append(kind)  # the name of a member
            case ast.Name(id=name) | ast.ClassDef(name=name):
                lines.append(f"{kind} {name}")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                lines.append(f"{kind} {name}")
            case ast.Attribute(attr=name) | ast.keyword(arg=name):
                lines.append(f"{kind} {name}")
            case ast.alias(name=name):
                lines.append(f"{kind} {name}")
            case ast.Expr(value=ast.Constant()) | ast.Load() | ast.Store():
                pass  # a docstring may be there or not
            case _:
                lines.append(kind)
    return sorted(line for line in lines if line not in {"keyword alias", "Pass"})


@cache
def plain() -> dict[str, list[str]]:
    """Return the structure of the files of a plain contract."""
    files = rendered(contract_of("It.", "a-b", "x"))
    return {name: code_structure(text) for name, text in files.items()}


def assert_same_structure(contract: dict[str, Any]) -> None:
    """Assert that the generated code has the structure of that of a plain contract."""
    try:
        files = rendered(contract)
    except ContractError:
        reject()
    for name, text in files.items():
        assert code_structure(text) == plain()[name], text
        assert text.replace("\n", "").isprintable(), text


@given(text=TEXTS)
@examples(
    0.25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_descriptions_never_become_code(text: str) -> None:
    """Descriptions do not change the statements, and all characters are printable."""
    assert_same_structure(contract_of(f"It. {text}", "a-b", "x"))


@given(value=TEXTS)
@examples(
    0.25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_values_never_become_code(value: str) -> None:
    """Defaults, enums and constants do not change the statements of any module."""
    assert_same_structure(contract_of("It.", "a-b", value))


@given(name=TEXTS)
@examples(
    0.25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_names_never_become_code(name: str) -> None:
    """A property is an attribute with an alias, whatever its name is."""
    # with the dash it is no Python name, so that it needs an alias as the plain one does
    assert_same_structure(contract_of("It.", f"{name}-", "x"))


@pytest.mark.parametrize(
    "steering",
    [
        {"x-python-import": {"module": "os", "name": "system"}},
        {"customTypePath": "os.system"},
        {"customBasePath": "os.PathLike"},
        {"x-discriminator": "os.system"},
        {"x-deprecated": "os.system"},
        {"x-enum-field-as-literal": "none"},
    ],
)
def test_model_generator_keywords_have_no_effect(steering: dict[str, Any]) -> None:
    """Keywords that steer datamodel-code-generator are unknown keywords of a contract."""
    contract = contract_of("It.", "a-b", "x")
    plain = rendered(contract)
    contract["aggregates"]["thing"]["state"] = {
        **contract["aggregates"]["thing"]["state"],
        **steering,
    }
    properties = contract["aggregates"]["thing"]["state"]["properties"]
    properties["other"] = {**properties["other"], **steering}
    assert rendered(contract)["models.py"] == plain["models.py"]
