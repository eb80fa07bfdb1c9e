"""Serializing values while pydantic checks their types, without naming the check in each call.

`warnings="error"` makes pydantic raise an error for a value that does not have its type. Reading
this text takes pydantic longer than writing most values, as it takes it for a bool first. By
default it issues a warning for such a value, and only then. No warning can be registered for this
module, which CPython reports as a TypeError, whatever the filters of the program are.
"""

from collections.abc import Callable
from typing import Final
from warnings import catch_warnings, simplefilter

from pydantic_core import SchemaSerializer, core_schema

from weenats.codec.json import has_constants

__all__ = ["is_quick", "quick_json", "writer"]
_I: Final = ord("I")
_N: Final = ord("N")
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


def writer(
    model: type[object],
    to_json: Callable[..., bytes],
    otherwise: Callable[[object], bytes],
    *,
    warnings: bool,
) -> Callable[[object], bytes]:
    """Return what serializes the instances of a model.

    All payloads and results take this way. So it is one function, which does what `quick_json`
    does, and has what it needs as closure.

    Args:
        model: the model.
        to_json: the method of its serializer.
        otherwise: serializes what is not an instance, or does not have the types of its fields, or
            may have NaN or an infinity; or raises what is wrong with it.
        warnings: whether to check that fields have their types.
    """

    def write(value: object) -> bytes:
        if type(value) is model:
            try:
                data = to_json(value, by_alias=True, warnings=warnings)
            except Exception:  # noqa: BLE001 - `otherwise` raises what is wrong, if anything
                return otherwise(value)
            if (_N not in data and _I not in data) or not has_constants(data):
                return data
        return otherwise(value)

    return write


def is_quick() -> bool:
    """Return whether `quick_json` raises an exception for a value of another type."""
    with catch_warnings():
        simplefilter("ignore")
        try:
            quick_json(SchemaSerializer(core_schema.int_schema()).to_json, "text")
        except TypeError:
            return True
    return False
