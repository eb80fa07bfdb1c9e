# A stub: `weenats generate` replaces it until you change it. Checksum: f65b835dd366c4fb
"""A contract test of the handlers of parcels: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Parcels


@pytest.mark.parametrize("example", [], ids=str)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Parcels(), example)
