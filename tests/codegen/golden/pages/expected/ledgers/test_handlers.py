# A stub: `weenats generate` replaces it until you change it. Checksum: 33c8ddd2367bbec4
"""A contract test of the handlers of ledgers: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Ledgers
from .operations import GET_LEDGER, LIST_ENTRIES, LIST_TAGS


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(GET_LEDGER, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
        testing.Example(
            LIST_ENTRIES,
            key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57",
            payload={"minimum": 1, "cursor": "cursor", "limit": 1},
        ),
        testing.Example(LIST_TAGS, payload={"cursor": "cursor", "limit": 1}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Ledgers(), example)
