"""The base class of models: strict, wire aliases, and None or MISSING for absent members."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import MISSING, ConfigDict, Field, ValidationError
from typing_extensions import TypeAliasType, deprecated

from weenats.model import OMIT_NONE, STRICT_LITERAL, DeferredModel, Model, declared_names


class Part(Model):
    """A model with every kind of member that contracts have."""

    count: int
    price: float
    on: bool
    text: str
    line_total: Annotated[float | None, Field(alias="lineTotal"), OMIT_NONE] = None
    kind: Annotated[Literal["a", "b"] | None, OMIT_NONE] = None
    parts: Annotated[list[Part] | None, OMIT_NONE] = None
    note: str | MISSING | None = MISSING


GOOD: dict[str, Any] = {"count": 1, "price": 0.5, "on": True, "text": "x"}


def from_wire(**members: Any) -> Part:
    """Validate JSON like the runtime does: strict, by wire names only."""
    return Part.model_validate_json(
        json.dumps({**GOOD, **members}), strict=True, by_alias=True, by_name=False
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("count", "1"), ("count", 1.5), ("count", True), ("count", None), ("count", [1]),
        ("price", "0.5"), ("price", True), ("price", math.nan), ("price", math.inf),
        ("price", None), ("on", 1), ("on", "true"), ("on", 0), ("text", 5), ("text", None),
        ("text", ["x"]),
        ("lineTotal", "1"), ("kind", "c"), ("kind", "A"), ("note", 5),
        ("parts", {}), ("parts", [None]), ("parts", [{"count": 1}]),
    ],
)  # fmt: skip
def test_values_are_not_coerced(member: str, value: Any) -> None:
    """Wrong types are rejected from JSON and in Python."""
    with pytest.raises(ValidationError):
        from_wire(**{member: value})
    with pytest.raises(ValidationError):
        Part(**{**GOOD, member: value})


def test_integers_are_accepted_as_floats() -> None:
    """1 is a valid float, but 1.0 is not a valid integer."""
    assert from_wire(price=1).price == 1.0
    assert Part(**{**GOOD, "price": 1}).price == 1.0
    with pytest.raises(ValidationError):
        from_wire(count=1.0)


@pytest.mark.parametrize("member", GOOD)
def test_required_members_are_required(member: str) -> None:
    """A member without a default must be given."""
    with pytest.raises(ValidationError, match="required"):
        Part(**{name: value for name, value in GOOD.items() if name != member})


def test_json_accepts_aliases_only() -> None:
    """In Python both names work; in JSON the Python name is an unknown member."""
    assert Part(**GOOD, line_total=1.0) == Part(**GOOD, lineTotal=1.0)
    assert from_wire(lineTotal=1.0).line_total == 1.0
    assert from_wire(line_total=1.0).line_total is None


@pytest.mark.parametrize("member", ["lineTotal", "kind", "parts"])
def test_null_is_not_an_absent_member(member: str) -> None:
    """Null in JSON is refused, while None in Python means that the member is absent."""
    with pytest.raises(ValidationError):
        from_wire(**{member: None})
    assert Part(**GOOD, **{member: None}) == Part(**GOOD) == from_wire()
    assert from_wire(note=None).note is None


def test_omit_none_needs_a_type_with_none() -> None:
    """The marker on another type is refused when the class is created."""
    with pytest.raises(TypeError, match="whose type includes None"):

        class Wrong(Model):
            note: Annotated[str, OMIT_NONE]


def test_fields_do_not_change_the_marker() -> None:
    """The marker is shared by all fields and has no properties of theirs."""
    assert OMIT_NONE.alias is None
    assert OMIT_NONE.is_required()
    assert len(OMIT_NONE.metadata) == 1
    assert Part.model_fields["kind"].default is None
    assert Part.model_fields["line_total"].alias == "lineTotal"


def test_absent_members_are_not_serialized() -> None:
    """An absent optional member is None, or MISSING if it is nullable, and JSON has neither."""
    part = Part(**GOOD)
    assert part.line_total is None
    assert part.note is MISSING
    assert part.model_dump_json() == '{"count":1,"price":0.5,"on":true,"text":"x"}'
    assert '"lineTotal":1.0' in Part(**GOOD, line_total=1).model_dump_json()
    assert Part.model_validate_json(part.model_dump_json()) == part


def test_non_finite_numbers_are_rejected() -> None:
    """NaN and infinities cannot be constructed, so they cannot be sent."""
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValidationError, match="finite"):
            Part(**{**GOOD, "price": number})


class Flags(Model):
    """A model with literal types that Python does not tell apart."""

    on: Annotated[Literal[True], STRICT_LITERAL]
    level: Annotated[Literal[0, 1, "many"], STRICT_LITERAL] | bool


@pytest.mark.parametrize(
    ("on", "level", "valid"),
    [
        ("true", "0", True), ("true", '"many"', True), ("true", "true", True),
        ("1", "0", False), ("1.0", "0", False), ("true", "2", False), ("true", "1.0", False),
    ],
)  # fmt: skip
def test_strict_literals_tell_booleans_from_numbers(on: str, level: str, valid: bool) -> None:
    """A literal type accepts its values, not what Python takes for equal."""
    text = f'{{"on":{on},"level":{level}}}'
    if valid:
        assert Flags.model_validate_json(text).model_dump_json() == text
    else:
        with pytest.raises(ValidationError):
            Flags.model_validate_json(text)


@deprecated("Use Part.", category=None)
class Old(Model):
    """A model of a deprecated schema."""

    number: int


@pytest.mark.filterwarnings("error")
def test_deprecated_models_warn_who_constructs_them() -> None:
    """Constructing a model of a deprecated schema warns with its text, decoding it does not."""
    assert Old.model_validate_json('{"number":1}').number == 1
    with pytest.warns(DeprecationWarning, match="Use Part") as record:
        Old(number=1)
    assert record[0].filename == __file__


def test_deferred_model_is_built_when_it_is_used() -> None:
    """It has no validator until then, and validates as any other."""

    class Late(DeferredModel):
        number: int

    assert not Late.__pydantic_complete__
    with pytest.raises(ValidationError, match="number"):
        Late.model_validate_json('{"number":"1"}')
    assert Late.__pydantic_complete__
    assert Late(number=1).model_dump_json() == '{"number":1}'


class Cat(Model):
    """A member of a union."""

    kind: Literal["cat"]


class Dog(Model):
    """The other member of a union."""

    kind: Literal["dog"]


class Open(Model):
    """A model with undeclared members, maps and a union."""

    model_config = ConfigDict(extra="allow")

    line_total: Annotated[float | None, Field(alias="lineTotal"), OMIT_NONE] = None
    pin: Annotated[str | None, Field(alias="PIN", repr=False), OMIT_NONE] = None
    prices: Annotated[dict[str, float] | None, OMIT_NONE] = None
    pet: Annotated[Cat | Dog | None, Field(discriminator="kind"), OMIT_NONE] = None
    parts: Annotated[list[Part] | None, OMIT_NONE] = None


def test_repr_counts_undeclared_members() -> None:
    """Their names and values may be anything, and one may be called like a hidden field."""
    members = {"lineTotal": 1.0, "PIN": "s3cret", "pin": "s3cret", "other": "s3cret"}
    made = Open.model_validate_json(json.dumps(members), by_name=False)
    shown = "line_total=1.0 prices=None pet=None parts=None <2 undeclared>"
    assert str(made) == shown
    assert repr(made) == f"Open({shown.replace(' ', ', ').replace(', undeclared', ' undeclared')})"
    assert repr(Open()) == "Open(line_total=None, prices=None, pet=None, parts=None)"


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"prices": {"s3cret": "x"}}, "prices.*"),
        ({"prices": {"s3cret": {"s3cret": 1}}}, "prices.*"),
        ({"pet": {"kind": "s3cret"}}, "pet"),
        ({"pet": {"s3cret": 1}}, "pet"),
        ({"pet": {"kind": "cat", "s3cret": 1}, "parts": "s3cret"}, "parts"),
        ({"parts": [{**GOOD, "kind": "s3cret"}]}, "parts.0.kind"),
        ({"parts": [{**GOOD, "lineTotal": "s3cret"}]}, "parts.0.lineTotal"),
        ({"line_total": "s3cret"}, "line_total"),
        ({"parts": [{**GOOD, "line_total": "s3cret"}]}, "parts.0.line_total"),
    ],
)
def test_validation_error_shows_declared_names_alone(members: dict[str, Any], where: str) -> None:
    """Neither values nor keys of maps are in the text, nor in what the error is chained to."""
    for make in (
        lambda: Open(**members),
        lambda: Open.model_validate(members),
        lambda: Open.model_validate_json(json.dumps(members)),
    ):
        with pytest.raises(ValidationError) as caught:
            make()
        assert str(caught.value).splitlines()[1] == where
        assert "s3cret" not in f"{caught.value} {caught.value!r}"
        assert caught.value.__context__ is None


def test_validation_error_of_strings_shows_declared_names_alone() -> None:
    """Members that are all text, as of a form, are read by a function of their own."""
    with pytest.raises(ValidationError) as caught:
        Open.model_validate_strings({"prices": {"s3cret": "s3cret"}, "pet": {"kind": "s3cret"}})
    assert str(caught.value).splitlines()[1::2] == ["prices.*", "pet"]
    assert "s3cret" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__context__ is None


class _Card(Model):
    kind_name: Annotated[Literal["card"], Field(alias="kindName")]


class _Cash(Model):
    kind_name: Annotated[Literal["cash"], Field(alias="kindName")]


_Method = TypeAliasType("_Method", Annotated[_Card | _Cash, Field(discriminator="kind_name")])


class _Payment(Model):
    method: Annotated[_Method | None, OMIT_NONE] = None


def test_errors_of_unions_do_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    """A discriminator with an alias is no reason for pydantic to warn of its JSON Schema."""
    with pytest.raises(ValidationError):
        _Payment.model_validate_json('{"method": {"kindName": "coin"}}')
    assert "kindName" in declared_names(_Payment)
    assert not recwarn.list


def test_validation_error_keeps_what_is_wrong() -> None:
    """The type, the message and the context of each error are those of pydantic."""
    with pytest.raises(ValidationError) as caught:
        Open.model_validate({"prices": {"k": "x"}, "parts": [{**GOOD, "kind": "c"}]})
    found = caught.value.errors()
    assert caught.value.title == "Open"
    assert [(each["type"], each["loc"], each["input"]) for each in found] == [
        ("float_type", ("prices", "*"), "x"),
        ("literal_error", ("parts", 0, "kind"), "c"),
    ]
    assert found[1]["msg"] == "Input should be 'a' or 'b'"
    assert found[1]["ctx"] == {"expected": "'a' or 'b'"}
