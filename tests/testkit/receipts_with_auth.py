"""The sample service with authentication in its contract."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from weenats_codegen.generate import generate

ASKS: dict[str, dict[str, Any]] = {
    "add-item": {"scopes": ["receipts:write"]},
    "void-receipt": {"scopes": ["receipts:write", "receipts:void"]},
    "remove-item": {"required": True},
    "get": {"required": False},
}


@contextmanager
def receipts_with_auth(repository: Path, folder: Path) -> Iterator[ModuleType]:
    """Generate the sample with `auth` in its contract, and import it as `guarded_receipts`."""
    schemas = folder / "schemas" / "receipts"
    for name in ("receipts", "shop"):
        shutil.copytree(repository / "schemas" / name, folder / "schemas" / name)
    contract = yaml.safe_load((schemas / "service.yaml").read_text())
    contract["python"] = {"package": "guarded_receipts"}
    receipt = contract["aggregates"]["receipt"]
    for operations in (receipt["commands"], receipt["queries"]):
        for name, operation in operations.items():
            if name in ASKS:
                operation["auth"] = ASKS[name]
    (schemas / "service.yaml").write_text(yaml.safe_dump(contract))
    generate([schemas], folder)
    shutil.copy(repository / "generated" / "receipts" / "handlers.py", folder / "guarded_receipts")
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("guarded_receipts.handlers")
        yield importlib.import_module("guarded_receipts")
    finally:
        sys.path.remove(str(folder))
        for name in [each for each in sys.modules if each.startswith("guarded_receipts")]:
            del sys.modules[name]
