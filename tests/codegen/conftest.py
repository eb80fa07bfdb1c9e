"""Fixtures that write, generate and import small contracts."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from weenats_codegen.generate import generate

Generate = Callable[..., ModuleType]
_NUMBERS = count()


@pytest.fixture(scope="session")
def contract_of() -> Callable[..., dict[str, Any]]:
    """Function that returns a minimal contract with the given members.

    Commands, queries and events are those of the aggregate.
    """

    def make(state: dict[str, Any] | None = None, **members: object) -> dict[str, Any]:
        thing: dict[str, object] = {
            "state": state or {"type": "object", "properties": {"id": {"type": "string"}}},
            "queries": {"get": {"description": "Show the thing."}},
        }
        for section in ("commands", "queries", "events"):
            if section in members:
                thing[section] = members.pop(section)
        return {
            "service": "things",
            "version": "1.0.0",
            "description": "Keeps things.",
            "aggregates": {"thing": thing},
            **members,
        }

    return make


@pytest.fixture(scope="session")
def write_contract() -> Callable[..., Path]:
    """Function that writes a contract and its schema files, and returns the folder."""

    def write(folder: Path, contract: dict[str, Any], **files: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "service.json").write_text(json.dumps(contract))
        for name, schema in files.items():
            (folder / f"{name}.json").write_text(json.dumps(schema))
        return folder

    return write


@pytest.fixture(scope="module")
def generated(
    tmp_path_factory: pytest.TempPathFactory, write_contract: Callable[..., Path]
) -> Iterator[Generate]:
    """Function that generates a package and imports it under a unique name."""
    names: list[str] = []

    def run(contract: dict[str, Any], **files: object) -> ModuleType:
        root = tmp_path_factory.mktemp("contract")
        folder = write_contract(root / "contract", contract, **files)
        package = generate([folder], root / "out").written[0].parent
        name = f"generated_{next(_NUMBERS)}"
        spec = importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield run
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in names:
            del sys.modules[loaded]
