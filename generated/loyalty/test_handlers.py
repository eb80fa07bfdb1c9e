"""A contract test of the handlers of loyalty, which call the service receipts."""

import pytest
from weenats import testing

from receipts.handlers import Receipts

from .handlers import Loyalty
from .operations import COLLECT, GET_CARD

# The query receipts-by-status is answered from a projection, which needs a NatsServer.


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(
            COLLECT, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57", payload={"receipt": "receipt"}
        ),
        testing.Example(GET_CARD, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Loyalty(), example, Receipts())
