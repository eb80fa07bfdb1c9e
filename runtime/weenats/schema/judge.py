"""Exact validators of parts of messages: JSON Schemas that are compiled when they are needed.

The compiler is imported then, too: most contracts need none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import Validator

    from weenats.schema.violation import Violation
    from weenats.schema.violations import Explainer

__all__ = ["JsonSchemas", "Judge"]


class JsonSchemas:
    """The JSON Schemas of a package: one document, whose `$defs` may refer to each other.

    Nothing is parsed or compiled before a judge is used. Threads may share judges, and so may the
    processes that are forked after they were used.

    Args:
        text: JSON: an object with `$defs`, schemas of JSON Schema 2020-12 by name. All references
            in them are `#/$defs/NAME`.
        reasons: by name of a schema, the keywords in it that its Python type does not enforce, each
            as the name of a schema and a pointer in it; the last may be "..." for more.

    Example:
        ```python
        JSON_SCHEMAS = JsonSchemas('{"$defs": {"Even": {"type": "integer", "multipleOf": 2}}}')
        assert JSON_SCHEMAS["Even"].is_valid(4)
        violation = JSON_SCHEMAS["Even"].violations(5)[0]
        assert violation.keyword == "multipleOf"
        assert violation.message == "Input should be a multiple of 2"
        ```
    """

    def __init__(self, text: str, reasons: Mapping[str, Sequence[str]] | None = None) -> None:
        self._text = text
        self.reasons: Mapping[str, Sequence[str]] = {} if reasons is None else reasons
        self._judges: dict[str, Judge] = {}
        self._definitions: dict[str, Any] | None = None
        self._explainer: Explainer | None = None
        self._names: frozenset[str] | None = None

    def __getitem__(self, name: str) -> Judge:
        return self._judges.setdefault(name, Judge(self, name))

    @property
    def definitions(self) -> dict[str, Any]:
        """The schemas by name."""
        # Without a lock, which another thread might hold while the process forks: two threads may
        # both do the work at first, and the results are equal.
        if self._definitions is None:
            self._definitions = cast("dict[str, Any]", json.loads(self._text)["$defs"])
        return self._definitions

    @property
    def names(self) -> frozenset[str]:
        """The names of all members that the schemas declare."""
        if self._names is None:
            names: set[str] = set()
            unread: list[Any] = [*self.definitions.values()]
            while unread:
                part = unread.pop()
                if isinstance(part, dict):
                    schema = cast("dict[str, Any]", part)
                    properties: object = schema.get("properties")
                    names |= properties.keys() if isinstance(properties, dict) else set[str]()
                    unread += schema.values()
                elif isinstance(part, list):
                    unread += part
            self._names = frozenset(names)
        return self._names

    @property
    def explainer(self) -> Explainer:
        """What finds violations of the schemas."""
        if self._explainer is None:
            from weenats.schema.violations import Explainer  # noqa: PLC0415 - see above

            self._explainer = Explainer(self.definitions)
        return self._explainer


@final
class Judge:
    """Decides exactly whether JSON is valid by one schema of a package, with jsonschema-rs.

    A JSON value is what `pydantic_core.from_json` returns; numbers may be `decimal.Decimal`. It may
    not be nested more than the 200 levels that `from_json` reads.

    Args:
        schemas: the schemas of the package.
        name: the name of the schema.

    Attributes:
        name: the name of the schema.
    """

    __slots__ = ("_schemas", "_validator", "name")

    def __init__(self, schemas: JsonSchemas, name: str) -> None:
        self.name = name
        self._schemas = schemas
        self._validator: Validator | None = None

    def __repr__(self) -> str:
        return f"Judge({self.name!r})"

    def compile(self) -> Validator:
        """Compile the schema, unless that was done, and return its validator.

        Raises:
            KeyError: the package has no schema of this name.
            ValueError: the schema is not valid.
        """
        if self._validator is None:
            from weenats.schema.compiler import POINTER, compiled  # noqa: PLC0415 - see above

            definitions = self._schemas.definitions
            if self.name not in definitions:
                raise KeyError(self.name)
            self._validator = compiled({"$ref": POINTER + self.name}, definitions)
        return self._validator

    @property
    def names(self) -> frozenset[str]:
        """The names of all members that the schemas of the package declare."""
        return self._schemas.names

    @property
    def reasons(self) -> tuple[str, ...]:
        """The keywords that the Python type does not enforce, as far as they are known."""
        return tuple(self._schemas.reasons.get(self.name, ()))

    def is_valid(self, value: object) -> bool:
        """Return whether a JSON value is valid.

        Args:
            value: the JSON value.
        """
        return (self._validator or self.compile()).is_valid(value)

    def violations(self, value: object) -> list[Violation]:
        """Return where a JSON value is not valid, in at most 20 places, without showing the value.

        Args:
            value: the JSON value.

        Returns:
            The violations, none if the value is valid. The search is bounded: of a very large value
            it may be the only one that the value is not valid.
        """
        if self.is_valid(value):
            return []
        return self._schemas.explainer.violations(self.name, value)
