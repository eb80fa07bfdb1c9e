"""Models that are generated from the schemas of a test, and the judges of these schemas."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from types import ModuleType
from typing import Any

import jsonschema_rs
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from weenats_codegen.ir.bundle import ASSERTED_FORMATS
from weenats_codegen.ir.shapes import Shapes, shape
from weenats_codegen.render.models import render_models

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True)
_NUMBERS = count()


class Models:
    """The models of some definitions: schemas by name, whose references are `#/$defs/NAME`.

    Attributes:
        shapes: The shapes of the definitions.
        module: The generated module.
    """

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.shapes: Shapes = shape(definitions, definitions)
        self._definitions = _asserted(definitions)
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self._judges: dict[str, jsonschema_rs.Validator] = {}
        text = render_models(self.shapes.definitions)
        self.module = ModuleType(f"models_under_test_{next(_NUMBERS)}")
        sys.modules[self.module.__name__] = self.module  # pydantic looks names up there
        try:
            exec(compile(text, "models.py", "exec"), self.module.__dict__)  # noqa: S102 - from above
            for name in self.shapes.definitions:
                self._adapter(name)
        finally:
            del sys.modules[self.module.__name__]

    def accepts(self, name: str, value: object) -> bool:
        """Return whether the model accepts a JSON value."""
        return self._read(name, value) is not None

    def written(self, name: str, value: object) -> bytes:
        """Return a JSON value that the model accepts, as it writes it."""
        read = self._read(name, value)
        assert read is not None
        return self._adapter(name).dump_json(read[0], by_alias=True)

    def is_valid(self, name: str, value: object) -> bool:
        """Return whether a JSON value is valid by its schema."""
        return self._judge(name).is_valid(from_json(to_json(value)))

    def _read(self, name: str, value: object) -> tuple[Any] | None:
        """Return what the model makes of a JSON value; whole floats may be integers."""
        for each in (value, _with_integers(value)):
            with suppress(ValidationError):
                text = to_json(each)
                return (self._adapter(name).validate_json(text, by_alias=True, by_name=False),)
        return None

    def _adapter(self, name: str) -> TypeAdapter[Any]:
        if name not in self._adapters:
            kind = getattr(self.module, name)
            config = None if isinstance(kind, type) else _STRICT
            self._adapters[name] = TypeAdapter(kind, config=config)
        return self._adapters[name]

    def _judge(self, name: str) -> jsonschema_rs.Validator:
        if name not in self._judges:
            document = {"$ref": f"#/$defs/{name}", "$defs": self._definitions}
            judge = jsonschema_rs.Draft202012Validator(document, validate_formats=True)
            self._judges[name] = judge
        return self._judges[name]


def _with_integers(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_integers(part) for part in value]
        case dict():
            return {name: _with_integers(part) for name, part in value.items()}
        case _:
            return value


def _asserted(schema: Any) -> Any:
    """Return a schema without the formats that are annotations."""
    match schema:
        case list():
            return [_asserted(part) for part in schema]
        case dict():
            return {
                key: _asserted(part)
                for key, part in schema.items()
                if key != "format" or not isinstance(part, str) or part in ASSERTED_FORMATS
            }
        case _:
            return schema
