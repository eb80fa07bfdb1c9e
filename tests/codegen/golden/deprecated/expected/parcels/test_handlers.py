# A stub: `weenats generate` replaces it until you change it. Checksum: 107498f0ebe38fc1
"""A contract test of the handlers of parcels: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Parcels
from .operations import COUNT, DISPATCH, GET_PARCEL, LIST_PARCELS, SEND


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(SEND, key="p-1", payload={"address": "address"}),
        testing.Example(DISPATCH, key="p-1", payload={"address": "address"}),
        testing.Example(GET_PARCEL, key="p-1"),
        testing.Example(LIST_PARCELS, payload={"cursor": "cursor", "limit": 1}),
        testing.Example(COUNT),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Parcels(), example)
