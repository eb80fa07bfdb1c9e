"""The generated package of a contract, in memory, under a name of its own."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.render.libraries import render_copies
from weenats_codegen.render.package import STUBS, render

if TYPE_CHECKING:
    from types import ModuleType

    from weenats_codegen.ir.contract import Contract

_NUMBERS: Final = count(1)


def import_package(contract: Contract) -> ModuleType:
    """Return the package that would be generated; nothing of it remains on disk.

    A package of the same name that the user has generated is another one.

    Args:
        contract: The contract.
    """
    name = f"weenats_mock_{next(_NUMBERS)}_{contract.package}"
    with tempfile.TemporaryDirectory(prefix="weenats-mock-") as folder:
        files = render(contract, has_copies=True) | render_copies(contract.libraries)
        for file in files.keys() - set(STUBS):
            path = Path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[file], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(
            name, Path(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - for type checkers
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        for part in pkgutil.walk_packages(module.__path__, f"{name}."):
            importlib.import_module(part.name)  # also what is otherwise imported when it is needed
        return module
