"""Every schema of the files that a contract uses, and what each reference leads to.

A resource is a schema with a URI of its own: a file, or what has an `$id`. References are relative
to the URI of the resource that they are in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from weenats_codegen.parser import dialects
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.refs import (
    FILES,
    InvalidReferenceError,
    file_uri,
    is_absolute,
    join,
    path_of,
    split,
)
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from weenats_codegen.parser.dialects import Dialect, Ref
    from weenats_codegen.parser.folders import Owner
    from weenats_codegen.parser.reader import Reader
    from weenats_codegen.parser.walk import Schema

_VENDOR: Final = (
    "put the schema in a file in the contract's folder, or a folder beside it, and give it that URL"
    " as its $id"
)
_NO_FOLDER: Final = (
    "leads to a file that is in no folder of its own",
    "put the file in a folder beside those of the contracts, such as shared",
)
_SHARE: Final = "put the schema in a folder without service.yaml, which all contracts can use"
_CONTAINERS: Final = (("components", "schemas"), ("components", "messages"), ("definitions",))


@dataclass(slots=True, eq=False)
class Resource:
    """A schema with a URI of its own.

    Attributes:
        uri: The URI, which references are relative to.
        file_uri: The URI of the file that it is in.
        root: The schema, or the content of the file.
        anchors: The schemas in it that have a name, by name.
        dynamic: The names that `$dynamicAnchor` gave.
        is_recursive: Whether it has `$recursiveAnchor: true`.
        is_contract: Whether it is a service.yaml, which is not a schema itself.
        has_unevaluated_items: Whether `unevaluatedItems` is in it.
    """

    uri: str
    file_uri: str
    root: Node
    anchors: dict[str, Node] = field(default_factory=dict[str, Node])
    dynamic: set[str] = field(default_factory=set[str])
    is_recursive: bool = False
    is_contract: bool = False
    has_unevaluated_items: bool = False


class Context(NamedTuple):
    """What decides about the meaning of a schema.

    Attributes:
        resource: The resource that it is in.
        dialect: Its dialect.
    """

    resource: Resource
    dialect: Dialect


class Place(NamedTuple):
    """A schema with all that decides about its meaning."""

    node: Node
    context: Context


class Resources:
    """The schemas of the files that were opened.

    Attributes:
        schemas: Every schema in files that are in use, those inside other schemas included.
        used: The files that the contract is made of, by their paths as the user knows them.
    """

    def __init__(self, reader: Reader) -> None:
        """Initialize an empty collection.

        Args:
            reader: Reads the files that references lead to.
        """
        self._reader: Final = reader
        self._by_uri: Final[dict[str, list[Resource]]] = {}
        self._places: Final[dict[Location, Place]] = {}
        self._diagnostics: Final[list[Diagnostic]] = []
        self._notes: Final[list[Diagnostic]] = []
        self._has_all_files = False
        self.used: Final[set[str]] = set()

    @property
    def own(self) -> Owner:
        """The contract or library that the files are read for."""
        return self._reader.owner(self._reader.own(""))

    def relative(self, location: Location) -> str:
        """Return the path of the file of a schema: in the own folder, or in the root folder."""
        if not location.file.startswith(FILES) and location.file in self._reader.diagnostics:
            relative = self._reader.relative(location.file)
            return relative.removeprefix(self._reader.own(""))
        return location.file

    def owner(self, resource: Resource) -> Owner | None:
        """Return the contract or library that a resource belongs to, None for meta-schemas."""
        if not resource.file_uri.startswith(FILES):
            return None
        return self._reader.owner(
            unquote(resource.file_uri.removeprefix(FILES), errors="surrogateescape")
        )

    @property
    def schemas(self) -> list[Place]:
        """Every schema of the files in use, in the order in which they were found."""
        return [place for place in self._places.values() if place.node.location.file in self.used]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What is wrong with the files in use, references excluded."""
        files = [each for file in self.used for each in self._reader.diagnostics.get(file, ())]
        return files + [each for each in self._diagnostics if each.location.file in self.used]

    @property
    def notes(self) -> list[Diagnostic]:
        """What is doubtful in the files in use, and refuses nothing."""
        return [each for each in self._notes if each.location.file in self.used]

    def add_contract(self, root: Node, schemas: Iterable[Node]) -> None:
        """Add a service.yaml.

        Args:
            root: Its content.
            schemas: The schemas in it.
        """
        uri = file_uri(self._reader.relative(root.location.file))
        resource = Resource(uri, uri, root, is_contract=True)
        self._by_uri[uri] = [resource]
        self.used.add(root.location.file)
        for schema in schemas:
            self._index(schema, Context(resource, dialects.UNDECLARED))

    def add_file(self, relative: str) -> Place | None:
        """Add a file of schemas, unless it was added before.

        Args:
            relative: Its path relative to the root folder.

        Returns:
            Its content, None if it cannot be read.

        Raises:
            InvalidReferenceError: The file must not be opened.
        """
        refusal = self._reader.refusal(relative)
        if refusal is not None:
            raise InvalidReferenceError(f"refers to a file that {refusal[0]}", refusal[1])
        root = self._reader.read(relative)
        self.used.add(self._reader.path(relative))
        return None if root is None else self._add_document(root, file_uri(relative))

    def place(self, node: Node) -> Place:
        """Return a schema with its context; it is inside one that was added."""
        return self._places[node.location]

    def resolve(self, context: Context, ref: Ref) -> Place:
        """Return the schema that a reference leads to; its file is read if it was not yet.

        Args:
            context: That of the schema with the reference.
            ref: The reference.

        Raises:
            ContractError: There is no such schema. Without diagnostics, its file has some.
        """
        start, fragment = split(ref.uri)
        try:
            resource = self._resource(context.resource, start)
            self._check_owner(context.resource, self.owner(resource))
            self.used.add(resource.root.location.file)
            if not fragment or fragment.startswith("/"):
                return self._at(resource, fragment)
            if fragment not in resource.anchors:
                remedy = f"add $anchor: {fragment} to a schema there, or correct the {ref.keyword}"
                raise InvalidReferenceError("refers to a schema that does not exist", remedy)  # noqa: TRY301
        except InvalidReferenceError as error:
            message = f"the {ref.keyword} {quoted(ref.uri)} {error.message}"
            raise ContractError([Diagnostic(ref.location, message, error.remedy)]) from None
        return self._places[resource.anchors[fragment].location]

    def _resource(self, base: Resource, ref: str) -> Resource:
        """Return the resource that a reference without a fragment leads to."""
        if not ref:
            return base
        uri = join(base.uri, ref)
        if (found := self._known(uri, base.root.location.file)) is not None:
            return found
        if base.uri.startswith(FILES) and not is_absolute(ref):
            return self._file_or_identified(base, ref, uri)
        if uri.lower().startswith("file:"):
            raise InvalidReferenceError("is a file: URL")
        self._add_all_files()
        if (found := self._known(uri)) is not None:
            return found
        if uri in dialects.meta_schemas():
            document = Node(Location(uri), dialects.meta_schemas()[uri])
            return self._add_document(document, uri).context.resource
        if not is_absolute(ref):
            # The $id is where a file is published; in the folder the files have the same layout.
            relative = path_of(base.file_uri, ref)
            if self._reader.refusal(relative) is None:
                return self._file(relative, base)
        raise InvalidReferenceError(f"is the URL {uri}" if uri != ref else "is a URL", _VENDOR)

    def _check_owner(self, base: Resource, owner: Owner | None) -> None:
        """Refuse a reference into the folder of another contract."""
        if owner is None or owner == self.owner(base):
            return
        if owner.is_contract:
            message = f"leads into the folder of the contract {owner.folder}"
            raise InvalidReferenceError(message, _SHARE)
        if not owner.folder:
            raise InvalidReferenceError(*_NO_FOLDER)

    def _file_or_identified(self, base: Resource, ref: str, uri: str) -> Resource:
        """Return the file that a relative reference leads to, or the schema with such an `$id`."""
        try:
            return self._file(path_of(base.uri, ref), base)
        except InvalidReferenceError:
            self._add_all_files()
            if (found := self._known(uri)) is None:
                raise
            return found

    def _file(self, relative: str, base: Resource) -> Resource:
        if (found := self._known(file_uri(relative))) is not None:
            return found
        self._check_owner(base, self._reader.owner(relative))
        place = self.add_file(relative)
        if place is None:
            raise ContractError([])  # its own diagnostics say why
        return self._by_uri[file_uri(relative)][0]

    def _known(self, uri: str, file: str = "") -> Resource | None:
        """Return the resource with a URI; of several, that in a file, or any if they are equal."""
        found = self._by_uri.get(uri, [])
        if len(found) < 2:  # noqa: PLR2004
            return found[0] if found else None
        for files in ({file}, self.used):
            found = [each for each in found if each.root.location.file in files] or found
        others = [each for each in found if each.root.value != found[0].root.value]
        if others:
            places = " and ".join(str(each.root.location) for each in (found[0], others[0]))
            raise InvalidReferenceError(
                f"is the $id of different schemas, {places}", "keep one of them"
            )
        return found[0]

    def _add_all_files(self) -> None:
        """Find the identifiers of the schemas in the own files and those of libraries."""
        if self._has_all_files:
            return
        self._has_all_files = True
        # All are read before the first is looked at, which may be described by another.
        roots = {relative: self._reader.read(relative) for relative in self._reader.others()}
        for relative, root in roots.items():
            if root is not None:
                self._add_document(root, file_uri(relative))

    def _add_document(self, root: Node, uri: str) -> Place:
        known = self._by_uri.get(uri)
        if known is not None and root.location in self._places:
            return self._places[root.location]
        dialect = dialects.dialect_of_document(root.mapping)
        resource = Resource(uri, uri, root)
        self._by_uri[uri] = [resource]
        if uri in dialects.meta_schemas():
            self.used.add(root.location.file)
        place = self._index(root, Context(resource, dialect))
        for path in _CONTAINERS:
            for schema in root.get(*path).members.values():
                self._index(schema, place.context)
        return place

    def _at(self, resource: Resource, pointer: str) -> Place:
        """Return the schema at a JSON pointer."""
        if resource.is_contract and not pointer:
            name = Path(resource.root.location.file).name
            remedy = "refer to '#/$defs/NAME', or to a schema file"
            raise InvalidReferenceError(f"refers to {name}, which is not a schema", remedy)
        node = resource.root
        found = self._places.get(node.location)
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            following = node.step(key)
            if following is None:
                remedy = f"create it in {Path(node.location.file).name}, or correct the $ref"
                raise InvalidReferenceError("refers to a schema that does not exist", remedy)
            node = following
            found = self._places.get(node.location, found)
        if not pointer and not isinstance(node.value, dict | bool):
            raise ContractError([])  # lint reports the file
        if not isinstance(node.value, dict | bool) or found is None:
            remedy = "refer to a schema, such as '#/$defs/NAME'"
            raise InvalidReferenceError("refers to a value that is not a schema", remedy)
        if found.node.location != node.location:
            if node.location.pointer.count("/") == found.node.location.pointer.count("/") + 1 and (
                node.location.pointer.rpartition("/")[2] in dialects.NAMED
            ):
                remedy = "refer to one of them, such as '#/$defs/NAME'"
                raise InvalidReferenceError("refers to schemas by name, not to a schema", remedy)
            return self._index(node, found.context)
        return found

    def _index(self, outermost: Node, context: Context) -> Place:
        """Find the schemas inside a schema, and what they are called."""
        pending = [(outermost, context)]
        while pending:
            node, context = pending.pop()
            if node.location in self._places:
                continue
            if node.mapping:
                context = self._entered(node, context)
                pending += [(part, context) for part in dialects.inner(node, context.dialect)]
            self._places[node.location] = Place(node, context)
        return self._places[outermost.location]

    def _entered(self, node: Node, outer: Context) -> Context:
        """Return the context of a schema inside another context; register its names."""
        schema = node.mapping
        resource, dialect = outer
        if isinstance(uri := schema.get("$schema"), str) and not dialect.hides_siblings(schema):
            dialect = self._dialect(node, uri)
        name = dialect.id_of(schema) if dialect.id_key else None
        if name is not None:
            start, fragment = split(name)
            if start:
                uri = join(resource.uri, start)
                resource = Resource(uri, resource.file_uri, node)
                self._by_uri.setdefault(uri, []).append(resource)
                if not node.location.pointer and self._by_uri.get(resource.file_uri):
                    self._by_uri[resource.file_uri] = [resource]
            if fragment and not dialect.has_anchors:
                resource.anchors.setdefault(fragment, node)
        if dialect.has_anchors and isinstance(anchor := schema.get("$anchor"), str):
            resource.anchors.setdefault(anchor, node)
        if dialect.has_dynamic_anchors and isinstance(anchor := schema.get("$dynamicAnchor"), str):
            resource.anchors.setdefault(anchor, node)
            resource.dynamic.add(anchor)
        if node.location == resource.root.location and schema.get("$recursiveAnchor") is True:
            resource.is_recursive = True
        resource.has_unevaluated_items |= "unevaluatedItems" in schema
        return Context(resource, dialect)

    def _dialect(self, node: Node, uri: str) -> Dialect:
        """Return the dialect that a `$schema` names.

        It is a known one, or one with some vocabularies. Any other URL, such as that of a private
        meta-schema, says nothing about the meaning of keywords, as if there were no `$schema`.
        """
        described = uri
        known = dialects.dialect_of(described)
        vocabularies: JsonValue = None
        passed: set[str] = set()
        while known is None and described not in passed:
            passed.add(described)
            meta = self._meta_schema(described.removesuffix("#"))
            vocabularies = vocabularies or meta.get("$vocabulary")
            described = str(meta.get("$schema", described))
            known = dialects.dialect_of(described)
        if known is None and dialects.is_unsupported(described):
            remedy = f"translate it to {dialects.DRAFT_2020.uri}, or to draft-04, which is close"
            message = f"{quoted(uri)} is older than draft-04, and not supported"
            self._diagnostics.append(node.diagnostic(message, remedy, "$schema"))
            return dialects.UNDECLARED
        if known is None:
            message = f"{quoted(uri)} is not a known dialect; it is read as 2020-12"
            remedy = f"use {dialects.DRAFT_2020.uri}, or put its meta-schema in the folder"
            self._notes.append(node.diagnostic(message, remedy, "$schema"))
            return dialects.UNDECLARED
        if not isinstance(vocabularies, dict):
            return known
        try:
            return dialects.without_vocabularies(known, uri, vocabularies)
        except ValueError as error:
            message = f"{quoted(uri)} requires the unknown vocabulary {quoted(error.args[0])}"
            remedy = "use a meta-schema of known vocabularies"
            self._diagnostics.append(node.diagnostic(message, remedy, "$schema"))
            return known

    def _meta_schema(self, uri: str) -> Schema:
        """Return the meta-schema with a URI, empty if no file of the folder has it."""
        self._add_all_files()
        for file in self._reader.files.values():
            if uri in [file.mapping.get("$id"), file.mapping.get("id")]:
                return file.mapping
        return {}
