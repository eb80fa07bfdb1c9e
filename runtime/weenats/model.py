"""The base class of generated models: strict types, wire names as aliases."""

import operator
import warnings
from collections.abc import Iterator
from functools import cache, partial, wraps
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic._internal._model_construction import ModelMetaclass
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, PydanticKnownError
from pydantic_core.core_schema import json_or_python_schema, no_info_before_validator_function
from typing_extensions import override

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
    create = vars(deprecated).get("__init__", Model.__init__)

    @wraps(create)
    def warn_and_create(self: BaseModel, /, **data: object) -> None:
        if type(self) is deprecated:
            text: str = vars(deprecated)["__deprecated__"]
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        create(self, **data)

    type.__setattr__(deprecated, "__init__", warn_and_create)


UNDECLARED: Final = "*"
"""What texts have in place of a name that is not declared, such as the key of a map."""
WRONG_TAG: Final = "{discriminator} should be one of {expected_tags}"
"""What texts say of the tag of a union that none of its branches has, in place of the tag."""
_LABELS: Final = frozenset({"[key]", "str", "int", "float", "bool", "none", "decimal", UNDECLARED})
"""What pydantic puts into the location of an error besides names: branches of unions, keys."""


class _Generator(GenerateJsonSchema):
    """Makes the JSON Schemas of which names are read, without warnings: users cannot mend them.

    For example, pydantic cannot always tell the name of a discriminator that has an alias.
    """

    @override
    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        pass


def declared_names(kind: Any) -> frozenset[str]:  # noqa: ANN401 - any type
    """Return the names of all members that a type declares, those of nested models included.

    Args:
        kind: the type.
    """
    return _names(TypeAdapter(kind).json_schema(schema_generator=_Generator))


def _names(*schemas: object, with_values: bool = False) -> frozenset[str]:
    names: set[str] = set()
    unread: list[object] = [*schemas]
    while unread:
        part = unread.pop()
        if isinstance(part, dict):
            schema = cast("dict[str, object]", part)
            for keyword in ("properties", "$defs") if with_values else ("properties",):
                members = schema.get(keyword)
                names |= members.keys() if isinstance(members, dict) else set[str]()
            values = schema.get("enum", [schema.get("const")])
            if with_values and isinstance(values, list):
                listed = cast("list[object]", values)
                names |= {each for each in listed if isinstance(each, str)}
            unread += schema.values()
        elif isinstance(part, list):
            unread += part
    return frozenset(names)


@cache
def _shown_in_errors(model: Any) -> frozenset[str]:  # noqa: ANN401 - a class of models
    """Return the names that locations of errors may have: of members, classes and values."""
    by_alias, by_name = (
        model.model_json_schema(by_alias=each, schema_generator=_Generator)
        for each in (True, False)
    )
    return _names(by_alias, by_name, with_values=True) | _LABELS


def _without_keys(model: "type[Model]", error: ValidationError) -> ValidationError:
    """Return an error whose text has no name that the model does not declare.

    Such a name is content, like the values. So is the tag that no branch of a union has.
    """
    kind: Any = model  # to pyright, classes of models cannot be hashed
    try:
        names = _shown_in_errors(kind)
    except Exception:  # noqa: BLE001 - some types have no JSON schema
        names = _LABELS
    listed: list[InitErrorDetails] = []
    for each in error.errors(include_url=False):
        context, text = each.get("ctx", {}), each["msg"]
        if each["type"] == "union_tag_invalid":
            context = {name: part for name, part in context.items() if name != "tag"}
            text = WRONG_TAG
        listed.append({
            "type": PydanticCustomError(cast("Any", each["type"]), cast("Any", text), context),
            "loc": tuple(
                part if isinstance(part, int) or part in names else UNDECLARED
                for part in each["loc"]
            ),
            "input": each["input"],
            "ctx": context,
        })  # fmt: skip
    return ValidationError.from_exception_data(error.title, listed, hide_input=True)


def _validating(name: str) -> "classmethod[Model, ..., Model]":
    """Return a method of pydantic's models whose errors are those of `_without_keys`."""
    method = getattr(BaseModel, name).__func__

    @wraps(method)
    def validate(model: "type[Model]", *arguments: object, **options: object) -> "Model":
        try:
            return cast("Model", method(model, *arguments, **options))
        except ValidationError as error:
            failure = _without_keys(model, error)
        raise failure

    return classmethod(validate)


class _Text(str):
    """A text whose repr has no quotes."""

    __slots__ = ()
    __repr__ = str.__str__


class Model(BaseModel, metaclass=_ModelType):
    """The base class of the models that are generated from the schemas of a contract.

    Fields have Python names, and the names in the contract are their aliases. The constructor
    accepts both; JSON always uses the aliases. Values are not converted to another type: `"1"` is
    not an integer, and NaN and infinities are not numbers. The text of a ValidationError names the
    member that is wrong, and does not show its value, nor names that the model does not declare.

    `repr` and `str` show declared members whose values are not `writeOnly`, and how many other
    members there are.

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

    if not TYPE_CHECKING:  # type checkers know the fields

        def __init__(self, /, **data: object) -> None:
            # As pydantic has it: a call of its own would cost time.
            try:
                self.__pydantic_validator__.validate_python(data, self_instance=self)
            except ValidationError as error:
                failure = _without_keys(type(self), error)
            else:
                return
            raise failure

        __init__.__pydantic_base_init__ = True

        model_validate = _validating("model_validate")
        """pydantic's; its errors name only what the contract declares."""
        model_validate_json = _validating("model_validate_json")
        """pydantic's; its errors name only what the contract declares."""
        model_validate_strings = _validating("model_validate_strings")
        """pydantic's; its errors name only what the contract declares."""

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        kind = type(self)
        computed = [
            (name, getattr(self, name))
            for name, info in kind.__pydantic_computed_fields__.items()
            if info.repr
        ]
        for name, value in self.__dict__.items():
            field = kind.__pydantic_fields__.get(name)
            if field is not None and field.repr:
                yield name, self.__repr_recursion__(value) if value is self else value
        # What the contract does not declare may be anything, also `writeOnly` by some condition.
        extra = getattr(self, "__pydantic_extra__", None)
        if extra:
            yield None, _Text(f"<{len(extra)} undeclared>")
        yield from computed


class DeferredModel(Model):
    """The base class of models whose validators are built when they are used first.

    It is for models of which a program uses few, such as the messages of the wire protocol.
    """

    model_config = ConfigDict(defer_build=True)
