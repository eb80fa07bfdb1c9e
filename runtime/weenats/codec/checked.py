"""Serializing values while pydantic checks their types, without naming the check in each call.

`warnings="error"` makes pydantic raise an error for a value that does not have its type. Reading
this text takes pydantic longer than writing most values, as it takes it for a bool first. By
default it issues a warning for such a value, and only then. No warning can be registered for this
module, which CPython reports as a TypeError, whatever the filters of the program are.
"""

import warnings
from collections.abc import Callable
from typing import Final

from pydantic_core import SchemaSerializer, core_schema

__all__ = ["is_quick", "quick_json"]
__warningregistry__: Final = ()
"""Where Python keeps which warnings were shown; it has to be a dictionary for one to be issued."""


def quick_json(to_json: Callable[..., bytes], value: object) -> bytes:
    """Serialize a value.

    Args:
        to_json: the method of the serializer of its type.
        value: the value.

    Raises:
        Exception: it does not have its type, which `warnings="error"` describes; or a function of
            its type raised an exception or issued a warning.
    """
    return to_json(value, by_alias=True)


def is_quick() -> bool:
    """Return whether `quick_json` raises an exception for a value of another type."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            quick_json(SchemaSerializer(core_schema.int_schema()).to_json, "text")
        except TypeError:
            return True
    return False
