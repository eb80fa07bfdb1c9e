"""The base class of generated models: strict types, wire names as aliases."""

import operator
import warnings
from functools import partial, wraps
from typing import Any, Final, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic._internal._model_construction import ModelMetaclass
from pydantic_core import CoreSchema, PydanticKnownError
from pydantic_core.core_schema import json_or_python_schema, no_info_before_validator_function

__all__ = ["OMIT_NONE", "STRICT_LITERAL", "Model"]


class _NoNull:
    """Refuses null in JSON for a field whose type includes None, without a call of Python."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        return json_or_python_schema(_without_null(schema), schema)

    def __repr__(self) -> str:
        return "OMIT_NONE"


def _without_null(schema: CoreSchema) -> CoreSchema:
    """Return a schema that accepts what another one does, except null."""
    inner: Any = schema.get("schema")
    if not isinstance(inner, dict):
        raise TypeError("OMIT_NONE is for fields whose type includes None")
    accepted = cast("CoreSchema", inner)
    if schema["type"] == "nullable":
        return accepted
    return cast("CoreSchema", {**schema, "schema": _without_null(accepted)})


OMIT_NONE: Final[Any] = Field(exclude_if=partial(operator.is_, None))
"""Marks a field that is optional and not nullable: JSON without the member is None, JSON does not
contain a field that is None, and null is refused."""
OMIT_NONE.metadata.append(_NoNull())


class _StrictLiteral:
    """Refuses what equals a value of a literal type and has another type."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        values: tuple[object, ...] = get_args(source)
        types = frozenset(map(type, values))
        exact = frozenset((type(value), value) for value in values)
        expected = " or ".join(map(repr, values))

        def check(value: object) -> object:
            if type(value) not in types or (type(value), value) not in exact:
                raise PydanticKnownError("literal_error", {"expected": expected})
            return value

        return no_info_before_validator_function(check, handler(source))

    def __repr__(self) -> str:
        return "STRICT_LITERAL"


STRICT_LITERAL: Final = _StrictLiteral()
"""Marks a literal type with booleans, 0 or 1: Python takes `True` for 1, JSON does not."""


class _ModelType(ModelMetaclass):
    """The type of models, which lets those that become deprecated warn.

    Not an `__init__` of all models: it would double the time to create one.
    """

    def __setattr__(cls, name: str, value: object) -> None:  # noqa: N805 - a metaclass
        super().__setattr__(name, value)
        if name == "__deprecated__":  # set by the decorator `deprecated`
            _warn_of_creation(cls)


def _warn_of_creation(deprecated: type) -> None:
    """Let the constructor of a class warn; decoding a message and subclasses do not."""
    create = vars(deprecated).get("__init__", BaseModel.__init__)

    @wraps(create)
    def warn_and_create(self: BaseModel, /, **data: object) -> None:
        if type(self) is deprecated:
            text: str = vars(deprecated)["__deprecated__"]
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        create(self, **data)

    type.__setattr__(deprecated, "__init__", warn_and_create)


class Model(BaseModel, metaclass=_ModelType):
    """The base class of the models that are generated from the schemas of a contract.

    Fields have Python names, and the names in the contract are their aliases. The constructor
    accepts both; JSON always uses the aliases. Values are not converted to another type: `"1"` is
    not an integer, and NaN and infinities are not numbers. The text of a ValidationError names the
    member that is wrong, and does not show its value.

    The value of an optional field that was not set is None, and JSON does not contain it. Where
    the contract allows null for an optional field, its value is `pydantic.MISSING` when it was not
    set, since None is null.

    Raises:
        ValidationError: a member is missing, unknown or has a value that its type does not allow.

    Example:
        ```python
        from typing import Annotated

        from pydantic import MISSING, Field
        from weenats import Model
        from weenats.model import OMIT_NONE

        class Item(Model):
            unit_price: Annotated[float, Field(alias="unitPrice")]
            note: Annotated[str | None, OMIT_NONE] = None
            discount: float | MISSING | None = MISSING

        item = Item(unit_price=2.5)
        assert item.model_dump_json() == '{"unitPrice":2.5}'
        assert item.note is None
        assert item.discount is MISSING
        ```
    """

    model_config = ConfigDict(
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        ser_json_inf_nan="constants",  # never null instead, which is another value
        hide_input_in_errors=True,
    )


class DeferredModel(Model):
    """The base class of models whose validators are built when they are used first.

    It is for models of which a program uses few, such as the messages of the wire protocol.
    """

    model_config = ConfigDict(defer_build=True)
