"""The sample works with every payload that its contract allows."""

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
async def test_any_price_and_quantity_adds_up(price: float, quantity: int) -> None:
    """Every valid price results in a valid total."""
    transport = MemoryTransport()
    async with NatsServiceBuilder(Receipts(), transport=transport).build():
        item = AddItem(name="Gold", price=price, quantity=quantity)
        receipt = await ReceiptsClient(transport).add_item("r-1", item)
    assert 0 <= receipt.total <= LARGEST**2


@pytest.mark.parametrize(("price", "quantity"), [(1e308, 1), (1.0, 10**400)])
def test_what_could_not_be_added_up_is_refused(price: float, quantity: int) -> None:
    """Numbers whose product is infinite are refused."""
    with pytest.raises(ValidationError):
        AddItem(name="Gold", price=price, quantity=quantity)
