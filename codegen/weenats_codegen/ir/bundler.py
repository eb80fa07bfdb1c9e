"""One flat JSON Schema out of many files: objects have class names, `$ref`s point into `$defs`.

Nested inline objects are moved to `$defs` under names that are chosen here, so that
datamodel-code-generator does not have to invent any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen import naming
from weenats_codegen.ir.schemas import is_bounded, is_object, normalized
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic
from weenats_codegen.parser.keywords import DESCRIPTIVE, UNIONS
from weenats_codegen.parser.syntax import SUFFIXES
from weenats_codegen.parser.walk import OPERATION_SCHEMAS, Node, entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.source import Source
    from weenats_codegen.parser.walk import Schema

_IGNORED: Final = frozenset({"$schema", "$comment", "$defs"})
_NESTED: Final = {"items": "Item", "additionalProperties": "Value"}
_OWN_NAMES: Final = {
    "details": "{name}-details",
    "parameters": "{name}-parameters",
    "result": "{name}-result",
}
_OWN_DESCRIPTIONS: Final = {
    "parameters": "The parameters of the query {name}.",
    "result": "The result of {name}.",
}


def bundle_contract(source: Source) -> Bundler:
    """Return all schemas that the operations, errors and events of a contract use."""
    bundler = Bundler(source.resolve)
    aggregate = source.root.get("aggregate")
    if "state" in aggregate.mapping:
        kind = str(aggregate.mapping.get("type"))
        text = aggregate.mapping.get("description", f"The state of the aggregate {kind}.")
        bundler.add(_described(aggregate.get("state"), text), naming.class_name(kind))
    for section, members in OPERATION_SCHEMAS.items():
        for name, entry in entries(source.root, section).items():
            for member in members:
                if member in entry.mapping:
                    own = _OWN_DESCRIPTIONS.get(member)
                    text = own.format(name=name) if own else entry.mapping.get("description")
                    class_name = naming.class_name(
                        _OWN_NAMES.get(member, "{name}").format(name=name)
                    )
                    bundler.add(_described(entry.get(member), text), class_name)
    return bundler


def _described(schema: Node, description: JsonValue) -> Node:
    """Add a description to an inline schema that has none."""
    if not schema.mapping or "$ref" in schema.mapping:
        return schema
    return schema._replace(value={"description": description, **schema.mapping})


class Bundler:
    """Collects schemas under class names.

    Attributes:
        definitions: The schemas by class name.
        locations: The location of each.
        names: The class names by the location of the schema that was added.
        diagnostics: The schemas that have the same class name.
    """

    def __init__(
        self,
        resolve: Callable[[Location, str], Node],
        name_class: Callable[[str], str] = naming.class_name,
    ) -> None:
        """Initialize an empty bundler.

        Args:
            resolve: Returns the schema that a `$ref` refers to, given the location of the `$ref`
                and its value.
            name_class: Makes a class name of a name in a schema.
        """
        self._resolve: Final = resolve
        self._class: Final = name_class
        self.definitions: Final[dict[str, Schema]] = {}
        self.locations: Final[dict[str, Location]] = {}
        self.names: Final[dict[Location, str]] = {}
        self.diagnostics: Final[list[Diagnostic]] = []
        self._pending: Final[list[tuple[Node, str]]] = []

    @property
    def schema(self) -> Schema:
        """The bundled schema, its definitions sorted by name."""
        return {"$defs": {name: self.definitions[name] for name in sorted(self.definitions)}}

    def add(self, schema: Node, name: str) -> str:
        """Add the schema of an operation, an event and so on.

        Args:
            schema: The schema; if it is only a `$ref`, the schema it refers to is added.
            name: Its class name, unless the `$ref` gives another.

        Returns:
            The class name.
        """
        name = self._name(schema, name)
        while self._pending:
            schema, pending = self._pending.pop()
            self.definitions[pending] = self._rewrite(schema, pending)
        return name

    def _name(self, schema: Node, name: str) -> str:
        """Return the class of a schema or of what it refers to; the class is defined later.

        Schemas may refer to one another in chains that are longer than Python's stack.
        """
        passed: list[Location] = []
        while schema.location not in self.names:
            passed.append(schema.location)
            plain = schema._replace(value=normalized(schema.mapping)) if schema.mapping else schema
            if plain.ref is None or not plain.mapping.keys() <= {"$ref", *DESCRIPTIVE}:
                self._define(plain, name)
                break
            try:
                schema = self._resolve(plain.location.child("$ref"), plain.ref)
            except ContractError:  # lint reports it
                name = "Unknown"
                break
            name = self._class(_name_of(schema.location))
        else:
            name = self.names[schema.location]
        self.names.update(dict.fromkeys(passed, name))
        return name

    def _follow(self, location: Location, ref: str) -> str:
        try:
            found = self._resolve(location, ref)
        except ContractError:  # lint reports it
            return "Unknown"
        return self._name(found, self._class(_name_of(found.location)))

    def _define(self, schema: Node, name: str) -> None:
        other = self.locations.setdefault(name, schema.location)
        if other != schema.location:
            message = f"the class name {name} is also used by {other}"
            remedy = "rename one of them, or move it to $defs under another name"
            self.diagnostics.append(schema.diagnostic(message, remedy))
        elif name not in self.definitions:
            self.definitions[name] = {}
            self._pending.append((schema, name))

    def _rewrite(self, schema: Node, name: str) -> Schema:
        """Rewrite one schema; `name` is the class that it is part of."""
        result: Schema = {}
        # The mapping is empty for the boolean schema true; lint refuses false.
        for key, value in normalized(schema.mapping).items():
            part = Node(schema.location.child(key), value)
            if key == "$ref" and isinstance(value, str):
                result[key] = f"#/$defs/{self._follow(part.location, value)}"
            elif key not in _IGNORED:
                result[key] = self._rewrite_member(part, key, name)
        return result

    def _rewrite_member(self, part: Node, key: str, name: str) -> JsonValue:
        """Rewrite the schemas of a keyword; other values are kept."""
        match part.value:
            case dict() if key == "properties":
                return {
                    inner: self._rewrite_part(schema, name + self._class(inner), is_named=True)
                    for inner, schema in part.members.items()
                }
            case dict() if key == "patternProperties":
                return {
                    inner: self._rewrite_part(schema, f"{name}Value")
                    for inner, schema in part.members.items()
                }
            case dict() if key in _NESTED:
                return self._rewrite_part(part, f"{name}{_NESTED[key]}")
            case list() if key == "allOf":
                # The parts make one class together: none is moved to $defs.
                return [self._rewrite(item, name) for item in part.items]
            case list() if key in UNIONS:
                return [
                    self._rewrite_part(item, name + self._branch_name(item, number))
                    for number, item in enumerate(part.items, start=1)
                ]
            case _:
                return part.value

    def _rewrite_part(self, schema: Node, name: str, *, is_named: bool = False) -> JsonValue:
        """Rewrite a schema inside another; one that needs a class of its own goes to `$defs`.

        Args:
            schema: The schema.
            name: Its class name, if it needs one.
            is_named: Whether it is a property, whose bounds are enforced without a class.
        """
        if not isinstance(schema.value, dict):
            return schema.value
        schema = schema._replace(value=normalized(schema.mapping))
        if not (is_object(schema.mapping) or (is_bounded(schema.mapping) and not is_named)):
            return self._rewrite(schema, name)
        kinds = schema.mapping.get("type")
        nullable = isinstance(kinds, list) and "null" in kinds
        if nullable:
            schema = schema._replace(value={**schema.mapping, "type": "object"})
        self._define(schema, name)
        ref: Schema = {"$ref": f"#/$defs/{name}"}
        return {"anyOf": [ref, {"type": "null"}]} if nullable else ref

    def _branch_name(self, branch: Node, number: int) -> str:
        """Name an inline branch by its title, by the constant of a property, or by its number."""
        tags = [part.mapping.get("const") for part in branch.get("properties").members.values()]
        for candidate in (branch.mapping.get("title"), *tags):
            if isinstance(candidate, str) and naming.words(candidate):
                return self._class(candidate)
        return f"Option{number}"


def _name_of(location: Location) -> str:
    """Return the name of a schema: that of its `$defs` entry, otherwise that of its file."""
    if location.pointer:
        return location.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    name = location.file.rpartition("/")[2]
    for suffix in (*SUFFIXES, ".schema"):
        name = name.removesuffix(suffix)
    return name
