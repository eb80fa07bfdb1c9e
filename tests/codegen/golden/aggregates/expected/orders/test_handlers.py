# A stub: `weenats generate` replaces it until you change it. Checksum: 2917c134db075f87
"""A contract test of the handlers of orders: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Orders
from .operations import (
    GET_CUSTOMER,
    GET_ORDER,
    HISTORY,
    IMPORT_BATCH,
    PING,
    PLACE,
    SEARCH,
    WRITE,
)


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(
            PLACE, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57", payload={"item": "item", "count": 1}
        ),
        testing.Example(WRITE, key="n-1", payload="text"),
        testing.Example(IMPORT_BATCH, payload=[{"item": "item", "count": 1}]),
        testing.Example(GET_ORDER, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
        testing.Example(HISTORY, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
        testing.Example(GET_CUSTOMER, key="c-0000", payload={"full": True}),
        testing.Example(SEARCH, payload={"text": "text"}),
        testing.Example(PING),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Orders(), example)
