"""One flat JSON Schema out of many files: objects have class names, `$ref`s point into `$defs`.

Nested inline objects are lifted into `$defs` under a name of ours, so that
datamodel-code-generator invents none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from weenats_codegen import naming
from weenats_codegen.ir.schemas import ANNOTATIONS, NAMED, is_bounded, is_object, plain
from weenats_codegen.parser.diagnostics import Problem, joined

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import PurePosixPath

    from pydantic import JsonValue

    from weenats_codegen.ir.schemas import Schema
    from weenats_codegen.parser.source import Document

_SUFFIXES: Final = (".json", ".yaml", ".yml", ".schema")
_LEFT_OUT: Final = frozenset({"$schema", "$comment", "$defs"})
_VALUES: Final = {"items": "Item", "additionalProperties": "Value"}
_BRANCHES: Final = frozenset({"oneOf", "anyOf"})


class Resolver(Protocol):
    """Follows a `$ref`; `weenats_codegen.parser.source.Source` is one."""

    def resolve(self, document: Document, ref: str, /) -> tuple[Document, str, JsonValue]:
        """Return the document a `$ref` leads to, the pointer into it and what stands there."""
        ...


class Site(NamedTuple):
    """Where a schema stands."""

    document: Document
    pointer: str

    def step(self, *steps: str | int) -> Self:
        """Return a place inside."""
        return self._replace(pointer=joined(self.pointer, *steps))

    @property
    def key(self) -> tuple[PurePosixPath, str]:
        """What tells it from other places."""
        return self.document.path, self.pointer

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.document.shown}#{self.pointer}"

    def problem(self, message: str, remedy: str) -> Problem:
        """Return a problem that is here."""
        return Problem(self.document.shown, self.pointer, message, remedy)


class Bundler:
    """Collects schemas under class names.

    Attributes:
        definitions: The schemas by class name.
        sites: Where each stands.
        problems: Names that collide.
    """

    def __init__(
        self, resolver: Resolver, name_class: Callable[[str], str] = naming.class_name
    ) -> None:
        """Start empty.

        Args:
            resolver: Follows each `$ref`.
            name_class: Makes a class name of a name in a schema.
        """
        self._resolver: Final = resolver
        self._class: Final = name_class
        self.definitions: Final[dict[str, Schema]] = {}
        self.sites: Final[dict[str, Site]] = {}
        self.problems: Final[list[Problem]] = []

    @property
    def schema(self) -> Schema:
        """The bundled schema, its definitions in order of their names."""
        return {"$defs": {name: self.definitions[name] for name in sorted(self.definitions)}}

    def add(self, site: Site, schema: JsonValue, name: str) -> str:
        """Add the schema of an operation, an event and so on.

        Args:
            site: Where it stands.
            schema: The schema; when it is a mere `$ref`, what it leads to is added.
            name: Its class name, unless the `$ref` gives another.

        Returns:
            The class name.
        """
        if isinstance(schema, dict):
            schema = plain(schema)
            ref = schema.get("$ref")
            if isinstance(ref, str) and schema.keys() <= {"$ref", *ANNOTATIONS}:
                return self._follow(site, ref)
        self._define(site, schema, name)
        return name

    def _follow(self, site: Site, ref: str) -> str:
        document, pointer, schema = self._resolver.resolve(site.document, ref)
        found = Site(document, pointer)
        name = self._class(_name_of(found))
        return self.add(found, schema, name)

    def _define(self, site: Site, schema: JsonValue, name: str) -> None:
        other = self.sites.setdefault(name, site)
        if other.key != site.key:
            message = f"the class name {name} is also that of {other}"
            remedy = "rename one of the two, or give it a $defs entry of its own"
            self.problems.append(site.problem(message, remedy))
        elif name not in self.definitions:
            # A placeholder ends recursion; what stands here is known once the walk is over.
            self.definitions[name] = {}
            self.definitions[name] = self._walk(site, schema, name)

    def _walk(self, site: Site, schema: JsonValue, name: str) -> Schema:
        """Rewrite one schema; `name` is that of the class it is part of."""
        if not isinstance(schema, dict):
            # A boolean schema: true takes anything. False is refused by lint.
            return {}
        schema = plain(schema)
        result: Schema = {}
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                result[key] = f"#/$defs/{self._follow(site, value)}"
            elif key not in _LEFT_OUT:
                result[key] = self._member(site.step(key), key, value, name)
        return result

    def _member(self, site: Site, key: str, value: JsonValue, name: str) -> JsonValue:
        """Rewrite what stands under a keyword; what is no schema stays."""
        match value:
            case dict() if key in NAMED:
                own = key == "properties"
                return {
                    inner: self._place(
                        site.step(inner),
                        part,
                        name + (self._class(inner) if own else "Value"),
                        lift=not own,
                    )
                    for inner, part in value.items()
                }
            case dict() if key in _VALUES:
                return self._place(site, value, f"{name}{_VALUES[key]}", lift=True)
            case list() if key == "allOf":
                # Its parts make one class together: none is lifted.
                return [self._walk(site.step(i), part, name) for i, part in enumerate(value)]
            case list() if key in _BRANCHES:
                return [
                    self._place(site.step(i), part, name + self._branch(part, i), lift=True)
                    for i, part in enumerate(value)
                ]
            case _:
                return value

    def _place(self, site: Site, schema: JsonValue, name: str, *, lift: bool = False) -> JsonValue:
        """Rewrite a schema inside another; one that needs a class of its own is lifted.

        Args:
            site: Where it stands.
            schema: The schema.
            name: Its class name, if it needs one.
            lift: Whether bounds are reason enough for a name, as they are anywhere but in a member.
        """
        if not isinstance(schema, dict):
            return schema
        schema = plain(schema)
        if not (is_object(schema) or (lift and is_bounded(schema))):
            return self._walk(site, schema, name)
        nullable = isinstance(kinds := schema.get("type"), list) and "null" in kinds
        self._define(site, {**schema, "type": "object"} if nullable else schema, name)
        ref: Schema = {"$ref": f"#/$defs/{name}"}
        return {"anyOf": [ref, {"type": "null"}]} if nullable else ref

    def _branch(self, schema: JsonValue, index: int) -> str:
        """Name an inline branch by its title, by the constant that tells it, or by its number."""
        if isinstance(schema, dict):
            properties = schema.get("properties")
            parts = properties.values() if isinstance(properties, dict) else ()
            tags = [part.get("const") for part in parts if isinstance(part, dict)]
            for candidate in (schema.get("title"), *tags):
                if isinstance(candidate, str) and naming.words(candidate):
                    return self._class(candidate)
        return f"Option{index + 1}"


def _name_of(site: Site) -> str:
    if site.pointer:
        return site.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    stem = site.document.path.name
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem
