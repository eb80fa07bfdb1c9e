"""Folders of the checkout."""

from pathlib import Path
from typing import Final

TESTKIT: Final = Path(__file__).parent
REPOSITORY: Final = TESTKIT.parents[1]
SCHEMAS: Final = REPOSITORY / "schemas"
