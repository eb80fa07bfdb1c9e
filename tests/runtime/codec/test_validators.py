"""The dictionary validators accept exactly what the message models accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError
from typing_extensions import TypeAliasType

from testkit.wire import dump
from weenats.codec.validators import quiet_validator, typed_dict, validator
from weenats.model import Model
from weenats.protocol import messages

SCHEMAS = Path(__file__).parents[3] / "schemas" / "messages"
MODELS: dict[str, type[Model]] = {
    name: each
    for name, each in vars(messages).items()
    if isinstance(each, type) and issubclass(each, Model) and each.__module__ == messages.__name__
}
WIRE: dict[str, Any] = {"strict": True, "by_alias": True, "by_name": False}
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**70, float("nan"), float("inf"), "", "x", "x\n", "é",
    "a" * 300,
    [], {}, [{}], {"x": 1}, "2026-03-01T09:30:00.125Z", "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
]  # fmt: skip


def examples(name: str) -> list[Any]:
    """Return the examples of the schema of a model."""
    stem = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
    found: list[Any] = json.loads((SCHEMAS / f"{stem}.schema.json").read_text())["examples"]
    return found


def mutations(value: Any) -> Iterator[Any]:
    """Yield a value with each of its members, at any depth, removed or replaced."""
    if isinstance(value, dict):
        for name in value:
            yield {each: value[each] for each in value if each != name}
            for odd in ODD:
                yield {**value, name: odd}
            for inner in mutations(value[name]):
                yield {**value, name: inner}
        yield {**value, "unknown": 1}
    if isinstance(value, list):
        for index, each in enumerate(value):
            for inner in (*ODD, *mutations(each)):
                changed = deepcopy(value)
                changed[index] = inner
                yield changed


def is_valid(check: Any, data: bytes) -> bool:
    """Return whether a validator accepts this JSON."""
    try:
        check.validate_json(data, **WIRE)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", MODELS)
def test_dictionary_validator_agrees_with_the_model(name: str) -> None:
    """Validator and model accept or reject the same mutations of each example."""
    model, dictionary = MODELS[name].__pydantic_validator__, validator(typed_dict(MODELS[name]))
    verdicts = set()
    for example in examples(name):
        assert is_valid(model, dump(example))
        for instance in (example, *mutations(example), *ODD):
            data = dump(instance)
            verdict = is_valid(model, data)
            assert is_valid(dictionary, data) is verdict, data
            verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", MODELS)
def test_dictionary_validator_keeps_members_unchanged(name: str) -> None:
    """Members keep wire names and values, and nothing is added for missing ones."""
    for example in examples(name):
        read = validator(typed_dict(MODELS[name])).validate_json(dump(example), **WIRE)
        written = MODELS[name].model_validate_json(dump(example), **WIRE).model_dump(by_alias=True)
        assert to_plain(read) == written == example


def to_plain(value: Any) -> Any:
    """Convert nested models to dictionaries."""
    if isinstance(value, dict):
        return {name: to_plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [to_plain(each) for each in value]
    return value.model_dump(by_alias=True) if isinstance(value, Model) else value


def test_member_types_can_be_replaced_or_removed() -> None:
    """A replaced type is required; a member given as None is ignored."""
    check = validator(typed_dict(messages.CommandSuccess, result=int, metadata=None))
    whole = {"success": True, "duration": 1.0, "result": 5}
    assert check.validate_json(dump({**whole, "metadata": "ignored"}), **WIRE) == whole
    assert not is_valid(check, dump({**whole, "result": "5"}))
    assert not is_valid(check, dump({"success": True, "duration": 1.0}))


def test_python_names_are_not_accepted() -> None:
    """Only wire names are read, for required members too."""
    check = validator(typed_dict(messages.Correlation))
    assert not is_valid(check, dump({"correlation_id": "c"}))
    read = check.validate_json(dump({"correlationId": "c", "causation_id": 5}), **WIRE)
    assert read == {"correlationId": "c"}


def test_literal_that_is_used_twice() -> None:
    """A literal with a name of its own may be used several times in one type."""
    unit = TypeAliasType("unit", Literal["kg"])
    quiet = quiet_validator(dict[str, list[unit] | unit])
    assert quiet.validate_json('{"one": "kg", "many": ["kg"]}') == {"one": "kg", "many": ["kg"]}
    assert quiet.validate_json('{"one": "g"}') is None
