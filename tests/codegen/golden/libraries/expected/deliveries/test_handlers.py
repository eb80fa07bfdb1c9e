# A stub: `weenats generate` replaces it until you change it. Checksum: f51a997566a1a702
"""A contract test of the handlers of deliveries: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Deliveries
from .operations import DELIVER, LOCATE


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(
            DELIVER,
            payload={
                "to": {
                    "street": "street",
                    "country": "AA",
                    "id": "id",
                    "location": {"lat": 1, "lon": 1},
                    "box": {"number": 1},
                },
                "item": {"kind": "letter", "stamp": "stamp"},
                "stops": ["AA"],
            },
        ),
        testing.Example(LOCATE, payload={"near": {"lat": 1, "lon": 1}}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Deliveries(), example)
