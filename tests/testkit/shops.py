"""Versions of one service: `shop` 1.0.0, 1.1.0, which is compatible with it, and 2.0.0."""

from __future__ import annotations

import importlib
import json
import sys
from atexit import register
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final

from weenats import NatsServiceBuilder
from weenats_codegen.generate import generate

MONEY: Final = {"type": "object", "required": ["cents"], "properties": {"cents": {"minimum": 0}}}
OLD: Final = "1.0.0"
COMPATIBLE: Final = "1.1.0"
BREAKING: Final = "2.0.0"
VERSIONS: Final = (OLD, COMPATIBLE, BREAKING)


def contract(version: str) -> dict[str, Any]:
    """Return the contract of a version; its schemas are also those of a library."""
    members = {"item": {"type": "string"}, "price": {"$ref": "../shop-parts/money.json"}}
    payload = {"type": "object", "required": ["item"], "properties": members}
    found: dict[str, Any] = {
        "service": "shop",
        "version": version,
        "description": "Sells.",
        "python": {"package": package_name(version)},
        "commands": {
            "order": {"description": "Order an item.", "payload": payload},
            "refund": {"description": "Give it back.", "payload": {"type": "object"}},
        },
        "queries": {"ping": {"description": "Answer.", "result": {"type": "boolean"}}},
    }
    if version == COMPATIBLE:
        found["queries"]["count"] = {"description": "Count.", "result": {"type": "integer"}}
    if version == BREAKING:
        payload["required"] = ["item", "price"]
        del found["commands"]["refund"]
    return found


def package_name(version: str) -> str:
    """Return the name of the package of a version."""
    return f"shop_{version.replace('.', '_')}"


@cache
def folder() -> Path:
    """Return a folder with the contracts of all versions, and their packages in `generated`."""
    temporary = TemporaryDirectory(prefix="weenats-shops-")
    register(temporary.cleanup)
    root = Path(temporary.name)
    (root / "shop-parts").mkdir()
    (root / "shop-parts" / "money.json").write_text(json.dumps(MONEY))
    for version in VERSIONS:
        (root / version).mkdir()
        (root / version / "service.json").write_text(json.dumps(contract(version)))
    return root


@cache
def package(version: str) -> ModuleType:
    """Return the package of a version."""
    out = folder() / "generated"
    generate([folder() / version], out)
    if str(out) not in sys.path:
        sys.path.insert(0, str(out))
        importlib.invalidate_caches()
    return importlib.import_module(package_name(version))


def builder(version: str, url: str, **arguments: Any) -> NatsServiceBuilder:
    """Return the builder of a service of a version."""
    base = package(version).ShopHandlers

    async def nothing(self: object, *arguments: object) -> None:
        """Execute a command."""

    async def answer(self: object, context: object) -> bool:
        """Answer the query."""
        return True

    methods = dict.fromkeys(base.__abstractmethods__, nothing) | {"ping": answer}
    handlers = type("Shop", (base,), methods)()
    return NatsServiceBuilder(handlers, url, **arguments)


def client(version: str, url: str, **arguments: Any) -> Any:
    """Return a client of a version."""
    return package(version).ShopClient.connect(url, **arguments)
