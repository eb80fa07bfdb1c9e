# A stub: `weenats generate` replaces it until you change it. Checksum: f055e64e0af895ca
"""A contract test of the handlers of catalog: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Catalog
from .operations import FIND, GET_PRODUCT, PRICE, RENAME, SHIP, TAG


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(TAG, key="p-1", payload=["text"]),
        testing.Example(
            PRICE, key="p-1", payload={"price": 1, "from": "2026-03-01", "until": "2026-03-01"}
        ),
        testing.Example(SHIP, key="p-1", payload={"weight": 1, "way": "letter"}),
        testing.Example(RENAME, key="p-1", payload="a"),
        testing.Example(GET_PRODUCT, key="p-1"),
        testing.Example(FIND, key="p-1", payload={"text": "text", "level": 1}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Catalog(), example)
