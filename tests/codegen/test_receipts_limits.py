"""The receipts sample with every payload that its contract allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.properties import examples
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport

LARGEST = 1_000_000


@given(st.floats(0, LARGEST), st.integers(1, LARGEST))
@examples(0.3)
async def test_total_of_any_price_and_quantity(price: float, quantity: int) -> None:
    """Any valid price and quantity gives a valid total."""
    transport = MemoryTransport()
    async with NatsServiceBuilder(Receipts(), transport=transport).build():
        item = AddItem(name="Gold", price=price, quantity=quantity)
        receipt = await ReceiptsClient(transport).add_item("r-1", item)
    assert 0 <= receipt.total <= LARGEST**2


@pytest.mark.parametrize(("price", "quantity"), [(1e308, 1), (1.0, 10**400)])
def test_too_large_numbers_are_rejected(price: float, quantity: int) -> None:
    """Numbers that are too large for a total violate the contract."""
    with pytest.raises(ValidationError):
        AddItem(name="Gold", price=price, quantity=quantity)
