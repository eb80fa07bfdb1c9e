"""The generated package of a contract, in memory, under a name of its own."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.render.package import render

if TYPE_CHECKING:
    from types import ModuleType

    from weenats_codegen.ir.contract import Contract

_NUMBERS: Final = count(1)
_NOT_NEEDED: Final = frozenset({"handlers.py", "app.py"})


def import_package(contract: Contract) -> ModuleType:
    """Return the package that would be generated; nothing of it remains on disk.

    A package of the same name that the user has generated is another one.

    Args:
        contract: The contract.
    """
    name = f"weenats_mock_{next(_NUMBERS)}_{contract.package}"
    with tempfile.TemporaryDirectory(prefix="weenats-mock-") as folder:
        for file, text in render(contract).items():
            if file not in _NOT_NEEDED:
                Path(folder, file).write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(
            name, Path(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        if spec is None or spec.loader is None:
            raise ImportError(name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
