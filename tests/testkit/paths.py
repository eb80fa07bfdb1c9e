"""Folders of the checkout."""

from pathlib import Path
from typing import Final

TESTKIT: Final = Path(__file__).parent
REPOSITORY: Final = TESTKIT.parents[1]
SCHEMAS: Final = REPOSITORY / "schemas"
GOLDEN: Final = REPOSITORY / "tests" / "codegen" / "golden"
GOLDEN_CONTRACTS: Final = sorted(
    path.parent
    for pattern in ("*/contract/service.yaml", "*/contract/*/service.yaml")
    for path in GOLDEN.glob(pattern)
)
"""The folders of the contracts of the golden files."""


def golden_name(folder: Path) -> str:
    """Return what tests call the folder of a golden contract."""
    parts = folder.relative_to(GOLDEN).parts
    return "-".join(part for part in parts if part != "contract")
