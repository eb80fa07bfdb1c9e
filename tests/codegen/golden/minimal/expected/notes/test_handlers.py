# A stub: `weenats generate` replaces it until you change it. Checksum: ac0656b8d8208f97
"""A contract test of the handlers of notes: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Notes
from .operations import GET_NOTE


@pytest.mark.parametrize("example", [testing.Example(GET_NOTE, key="n-1")], ids=str)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Notes(), example)
