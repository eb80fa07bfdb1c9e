# A stub: `weenats generate` replaces it until you change it. Checksum: 1a61b7117bba7079
"""A contract test of the handlers of archive: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Archive
from .operations import FETCH, STORE


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(STORE, key="d-1", payload={"content": "dGV4dA=="}),
        testing.Example(FETCH, key="d-1"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Archive(), example)
