"""Models as dictionaries: they take and refuse exactly what the models do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from testkit.wire import dump
from weenats.codec.validators import typed_dict, validator
from weenats.model import Model
from weenats.protocol import messages

SCHEMAS = Path(__file__).parents[3] / "schemas" / "messages"
MODELS: dict[str, type[Model]] = {
    name: each
    for name, each in vars(messages).items()
    if isinstance(each, type) and issubclass(each, Model) and each is not Model
}
WIRE: dict[str, Any] = {"strict": True, "by_alias": True, "by_name": False}
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**70, float("nan"), float("inf"), "", "x", "x\n", "é",
    "a" * 300,
    [], {}, [{}], {"x": 1}, "2026-03-01T09:30:00.125Z", "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
]  # fmt: skip


def examples(name: str) -> list[Any]:
    """Return the examples of the schema from which a model was made."""
    stem = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
    found: list[Any] = json.loads((SCHEMAS / f"{stem}.schema.json").read_text())["examples"]
    return found


def spoilt(value: Any) -> Iterator[Any]:
    """Yield a value with each of its members, at any depth, missing or replaced."""
    if isinstance(value, dict):
        for name in value:
            yield {each: value[each] for each in value if each != name}
            for odd in ODD:
                yield {**value, name: odd}
            for inner in spoilt(value[name]):
                yield {**value, name: inner}
        yield {**value, "unknown": 1}
    if isinstance(value, list):
        for index, each in enumerate(value):
            for inner in (*ODD, *spoilt(each)):
                changed = deepcopy(value)
                changed[index] = inner
                yield changed


def taken(check: Any, data: bytes) -> bool:
    """Say whether a validator takes JSON."""
    try:
        check.validate_json(data, **WIRE)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", MODELS)
def test_the_dictionary_has_the_rules_of_the_model(name: str) -> None:
    """Good examples, each spoilt in hundreds of ways: both take them, or both refuse them."""
    model, dictionary = MODELS[name].__pydantic_validator__, validator(typed_dict(MODELS[name]))
    verdicts = set()
    for example in examples(name):
        assert taken(model, dump(example))
        for instance in (example, *spoilt(example), *ODD):
            data = dump(instance)
            verdict = taken(model, data)
            assert taken(dictionary, data) is verdict, data
            verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", MODELS)
def test_the_dictionary_holds_what_came(name: str) -> None:
    """Members stand under their wire names with their values; nothing is added for missing ones."""
    for example in examples(name):
        read = validator(typed_dict(MODELS[name])).validate_json(dump(example), **WIRE)
        written = MODELS[name].model_validate_json(dump(example), **WIRE).model_dump(by_alias=True)
        assert plain(read) == written == example


def plain(value: Any) -> Any:
    """Return dictionaries for the models that stay models, below lists."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.model_dump(by_alias=True) if isinstance(value, Model) else value


def test_members_can_be_given_another_type_or_left_out() -> None:
    """A member of another type is required with that type; None leaves it out, whatever comes."""
    check = validator(typed_dict(messages.CommandSuccess, result=int, metadata=None))
    whole = {"success": True, "duration": 1.0, "result": 5}
    assert check.validate_json(dump({**whole, "metadata": "ignored"}), **WIRE) == whole
    assert not taken(check, dump({**whole, "result": "5"}))
    assert not taken(check, dump({"success": True, "duration": 1.0}))


def test_python_names_mean_nothing() -> None:
    """The wire names are the only ones, required members included."""
    check = validator(typed_dict(messages.Correlation))
    assert not taken(check, dump({"correlation_id": "c"}))
    read = check.validate_json(dump({"correlationId": "c", "causation_id": 5}), **WIRE)
    assert read == {"correlationId": "c"}
