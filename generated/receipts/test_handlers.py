# A stub: `weenats generate` replaces it until you change it. Checksum: fe296e2dcf8b1650
"""A contract test of the handlers of receipts: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Receipts
from .operations import (
    ADD_ITEM,
    FINALIZE,
    GET_RECEIPT,
    REMOVE_ITEM,
    SUMMARY,
    VOID_RECEIPT,
)


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(ADD_ITEM, key="r-1", payload={"name": "name", "price": 1, "quantity": 1}),
        testing.Example(REMOVE_ITEM, key="r-1", payload={"name": "name"}),
        testing.Example(
            FINALIZE,
            key="r-1",
            payload={"customer": {"id": "4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57", "name": "name"}},
        ),
        testing.Example(VOID_RECEIPT, key="r-1", payload={"reason": "reason"}),
        testing.Example(GET_RECEIPT, key="r-1"),
        testing.Example(SUMMARY),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Receipts(), example)
