"""What the files below the folder of the contracts belong to: a contract, or a library.

A folder with a service.yaml is a contract. A folder directly below the root folder that has none
is a library, with all its subfolders: its schemas are shared by the contracts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

ROOT_NAMES: Final = ("service.yaml", "service.yml", "service.json")
"""The names that a contract's main file may have."""


class Owner(NamedTuple):
    """What a file belongs to.

    Attributes:
        folder: The folder of the contract or the library, relative to the root folder; "" for
            files that are in no folder of their own.
        is_contract: Whether it is a contract.
    """

    folder: str
    is_contract: bool


class Folders:
    """The contracts and libraries below a root folder.

    Attributes:
        root: The root folder.
    """

    def __init__(self, root: Path) -> None:
        """Initialize.

        Args:
            root: The folder that holds the contracts.
        """
        self.root: Final = root
        self._contracts: Final[dict[str, bool]] = {}

    def owner(self, relative: str) -> Owner:
        """Return what a file belongs to: the outermost contract around it, else a library.

        Args:
            relative: Its path relative to the root folder.
        """
        steps = relative.split("/")[:-1]
        for count in range(len(steps) + 1):
            folder = "/".join(steps[:count])
            if self.is_contract(folder):
                return Owner(folder, is_contract=True)
        return Owner(steps[0] if steps else "", is_contract=False)

    def is_contract(self, folder: str) -> bool:
        """Return whether a folder, given relative to the root folder, is that of a contract."""
        if folder not in self._contracts:
            self._contracts[folder] = bool(contract_files(self.root / folder))
        return self._contracts[folder]


def contract_files(folder: Path) -> list[str]:
    """Return the names of the main files of a contract in a folder; a contract has one.

    What is there and cannot be read, such as a link to nothing or a folder, is one as well: the
    contract is broken, not gone.
    """
    paths = ((name, folder / name) for name in ROOT_NAMES)
    return [name for name, path in paths if os.path.lexists(path)]
