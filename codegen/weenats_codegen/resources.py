"""Files that are elsewhere in the repository, and part of the package in a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_SHIPPED: Final = _PACKAGE / "resources"
_CHECKOUT: Final = _PACKAGE.parents[1]


def service_meta_schema() -> str:
    """Return the meta-schema of service.yaml as text."""
    return _read("service.schema.json", "schemas/service.schema.json")


def sample_handlers() -> str:
    """Return the handlers of the receipts sample as text."""
    return _read("handlers.py", "generated/receipts/handlers.py")


def _read(shipped: str, checkout: str) -> str:
    inside = _SHIPPED / shipped
    return (inside if inside.is_file() else _CHECKOUT / checkout).read_text(encoding="utf-8")
