"""Files that are elsewhere in the repository, and part of the package in a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SAMPLE: Final = "receipts"
"""The service of the sample."""
LIBRARY: Final = "shop"
"""The library of the sample."""
_CONTRACT: Final = (
    f"{SAMPLE}/service.yaml",
    f"{SAMPLE}/receipt.schema.json",
    f"{LIBRARY}/customer.schema.json",
)
_PACKAGE: Final = Path(__file__).parent
_SHIPPED: Final = _PACKAGE / "resources"
_CHECKOUT: Final = _PACKAGE.parents[1]


def service_meta_schema() -> str:
    """Return the meta-schema of service.yaml as text."""
    return _read("service.schema.json", "schemas/service.schema.json")


def sample_contract() -> dict[str, str]:
    """Return the files of the sample's contract and of its library, by path below `schemas`."""
    return {name: _read(name, f"schemas/{name}") for name in _CONTRACT}


def sample_handlers() -> str:
    """Return the handlers of the sample as text."""
    return _read("handlers.py", f"generated/{SAMPLE}/handlers.py")


def _read(shipped: str, checkout: str) -> str:
    inside = _SHIPPED / shipped
    return (inside if inside.is_file() else _CHECKOUT / checkout).read_text(encoding="utf-8")
