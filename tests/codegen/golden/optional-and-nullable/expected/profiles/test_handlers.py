# A stub: `weenats generate` replaces it until you change it. Checksum: 007e44b2d1608c07
"""A contract test of the handlers of profiles: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Profiles
from .operations import GET_PROFILE


@pytest.mark.parametrize("example", [testing.Example(GET_PROFILE, key="p-1")], ids=str)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Profiles(), example)
