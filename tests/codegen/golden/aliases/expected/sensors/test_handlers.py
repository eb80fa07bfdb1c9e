# A stub: `weenats generate` replaces it until you change it. Checksum: b854888f4cc48119
"""A contract test of the handlers of sensors: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Sensors
from .operations import GET_SENSOR


@pytest.mark.parametrize("example", [testing.Example(GET_SENSOR, key="s-1")], ids=str)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Sensors(), example)
