"""Python expressions of sample payloads and keys, for documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.ir.shapes.grammar import ref_name
from weenats_codegen.naming import field_name
from weenats_codegen.samples.sampler import Sampler

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats_codegen.ir.contract import Aggregate, Contract
    from weenats_codegen.ir.shapes.grammar import Schema

_PLAIN: Final = (str, bool, int, float)
_PLAIN_KEYWORDS: Final = frozenset({
    "type", "title", "description", "default", "examples", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "multipleOf", "pattern", "enum", "const",
})  # fmt: skip
"""The keywords of a shape whose Python value is that of JSON."""
_TYPED_KEYS: Final = {"UUID": ("uuid", "UUID"), "date": ("datetime", "date.fromisoformat")}
"""The types of keys that have expressions: their modules, and what makes them of text."""


class Expression(NamedTuple):
    """A Python expression.

    Attributes:
        source: Its source.
        models: The models of the generated package that it uses.
        standard: The import from the standard library that it needs; "" if it needs none.
    """

    source: str
    models: tuple[str, ...] = ()
    standard: str = ""


class Expressions:
    """Makes the expressions of a contract."""

    def __init__(self, contract: Contract, sampler: Sampler | None = None) -> None:
        """Initialize.

        Args:
            contract: The contract.
            sampler: Has the values; by default a new one.
        """
        self._shapes: Final = contract.shapes
        self._models: Final = frozenset(contract.models)
        self._sampler: Final = sampler or Sampler(contract.bundle)

    def payload(self, name: str) -> Expression | None:
        """Return the expression of a value that a definition allows.

        Args:
            name: The name of the definition, which is a class or an alias of the package.

        Returns:
            The expression, None if there is no value, or no short way to write one.
        """
        values = self._sampler.definition(name)
        if not values:
            return None
        if not self._shapes.is_class(name):
            return self._plain(name, values[0])
        made = self._constructed(name, values[0])
        return made or Expression(f"{name}.model_validate_json({json.dumps(values[0])!r})", (name,))

    def key(self, aggregate: Aggregate) -> Expression | None:
        """Return the expression of a key of an aggregate.

        Args:
            aggregate: The aggregate.

        Returns:
            The expression, None if there is no key, or no short way to write one.
        """
        value = self._sampler.key(aggregate)
        if not aggregate.key:
            return Expression(repr(value))
        path = str(self._shapes.definitions[aggregate.key].get("customTypePath", ""))
        if not path:
            return self._plain(aggregate.key, value)
        module, function = _TYPED_KEYS.get(path.rpartition(".")[2], ("", ""))
        if value is None or not module:
            return None
        imported = f"from {module} import {function.partition('.')[0]}"
        return Expression(f"{function}({value!r})", standard=imported)

    def _constructed(self, name: str, value: JsonValue) -> Expression | None:
        """Return the call of a class that makes a value, None if a member is not that simple."""
        members = self._shapes.definitions[name].get("properties", {})
        if not isinstance(value, dict) or not value.keys() <= members.keys():
            return None
        found = {key: self._argument(members[key], part) for key, part in value.items()}
        arguments = {field_name(key): each for key, each in found.items() if each is not None}
        if len(arguments) < len(found):
            return None
        models = [model for each in arguments.values() for model in each.models]
        source = ", ".join(f"{key}={each.source}" for key, each in arguments.items())
        return Expression(f"{name}({source})", (name, *models))

    def _argument(self, shape: Schema, value: JsonValue) -> Expression | None:
        name = ref_name(shape)
        if not name or not self._shapes.is_class(name):
            return _literal(self._shapes.definitions[name] if name else shape, value)
        return self._constructed(name, value) if name in self._models else None

    def _plain(self, name: str, value: JsonValue) -> Expression | None:
        return _literal(self._shapes.definitions[name], value)


def _literal(shape: Schema, value: JsonValue) -> Expression | None:
    is_plain = isinstance(value, _PLAIN) and shape.keys() <= _PLAIN_KEYWORDS
    return Expression(repr(value)) if is_plain else None
