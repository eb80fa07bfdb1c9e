"""A contract test of the handlers of loyalty, which call the service receipts."""

import pytest
from weenats import testing

from receipts.handlers import Receipts

from .handlers import Loyalty
from .operations import COLLECT, GET_CARD, RECEIPTS_BY_STATUS


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(
            COLLECT, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57", payload={"receipt": "receipt"}
        ),
        testing.Example(GET_CARD, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
        testing.Example(RECEIPTS_BY_STATUS, payload={"status": "open"}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Loyalty(), example, Receipts())
