"""The check that written values have their types, which no setting of warnings can switch off."""

from __future__ import annotations

import unittest
import warnings
from typing import Any

import pytest
from pydantic import field_serializer
from pydantic_core import SchemaSerializer, core_schema

from weenats.codec.checked import is_quick, quick_json
from weenats.codec.parts import Encoder
from weenats.model import Model


class Counted(Model):
    """A model whose fields have types."""

    count: int


class Named(Model):
    """A model with a text and a number that may not be written."""

    name: str
    size: float = 1.0


class Talkative(Model):
    """A model with a serializer that warns on behalf of its caller."""

    count: int

    @field_serializer("count")
    def _warn(self, count: int) -> int:
        warnings.warn("counts are going away", DeprecationWarning, stacklevel=2)
        return count


WRONG = Counted.model_construct(count="many")


def reset_registries() -> None:
    """Forget which warnings were shown, as unittest does."""
    with unittest.TestCase().assertWarns(UserWarning):
        warnings.warn("anything", UserWarning, stacklevel=1)


def test_this_python_reports_a_warning_as_an_error() -> None:
    """Every supported Python takes the quick way."""
    assert is_quick()


@pytest.mark.parametrize("action", ["ignore", "default", "always", "once", "error"])
def test_value_of_another_type_is_refused(action: Any) -> None:
    """Filters of warnings do not matter, neither does how often it happened before."""
    encoder = Encoder(Counted)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(action)
        for _ in range(3):
            with pytest.raises(ValueError, match=r"^/count: "):
                encoder.write(WRONG)
    assert not shown
    assert encoder.write(Counted(count=1)) == b'{"count":1}'


def test_value_is_refused_after_registries_are_reset() -> None:
    """Test frameworks that reset what modules have warned of do not switch the check off."""
    reset_registries()
    with pytest.raises(ValueError, match=r"^/count: "):
        Encoder(Counted).write(WRONG)


def test_warnings_of_serializers_are_shown() -> None:
    """A function of a model may warn: its value is written, and the warning is shown."""
    with pytest.warns(DeprecationWarning, match="counts are going away"):
        assert Encoder(Talkative).write(Talkative(count=1)) == b'{"count":1}'


def test_without_the_quick_way_values_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a warning is no error, pydantic is told to raise one."""
    monkeypatch.setattr("weenats.codec.checked.__warningregistry__", {})
    assert not is_quick()
    serializer = SchemaSerializer(core_schema.int_schema())
    with pytest.warns(UserWarning, match="serialized value may not be as expected"):
        assert quick_json(serializer.to_json, "text") == b'"text"'
    monkeypatch.setattr("weenats.codec.parts._IS_QUICK", is_quick())
    encoder = Encoder(Counted)
    with pytest.raises(ValueError, match=r"^/count: "):
        encoder.write(WRONG)
    assert encoder.write(Counted(count=1)) == b'{"count":1}'


@pytest.mark.parametrize("is_checked", [True, False])
def test_writing_agrees_with_encoding(is_checked: bool) -> None:
    """The quick way writes the same, refuses NaN, and takes names of it for what they are."""
    encoder = Encoder(Named, is_checked=is_checked)
    for name in ("", "Nina", "Item", "NaN", "Infinity"):
        value = Named(name=name)
        assert encoder.write(value) == encoder.encode(value) == value.model_dump_json().encode()
    for size in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match=r"NaN|Infinity"):
            encoder.write(Named.model_construct(name="NaN", size=size))
    with pytest.raises(TypeError, match="expected Named, got Counted"):
        encoder.write(Counted(count=1))


def test_subclasses_of_a_model_are_written() -> None:
    """An instance of a subclass has the members of the model."""
    longer = type("Longer", (Named,), {"__annotations__": {"more": int}})
    assert Encoder(Named).write(longer(name="a", more=1)) == b'{"name":"a","size":1.0}'


def test_payloads_are_not_checked() -> None:
    """What a client sends is written as it is: its receiver checks the types."""
    assert Encoder(Counted, is_checked=False).write(WRONG) == b'{"count":"many"}'
