# A stub: `weenats generate` replaces it until you change it. Checksum: 5526c3dc36c8820c
"""A contract test of the handlers of class: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Class
from .operations import EXECUTE, GET_ANY, IMPORT, MODEL, PRINT


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(IMPORT, key="a-1", payload={}),
        testing.Example(PRINT, key="a-1", payload={}),
        testing.Example(EXECUTE, key="a-1", payload={}),
        testing.Example(MODEL, key="a-1", payload={}),
        testing.Example(GET_ANY, key="a-1"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Class(), example)
