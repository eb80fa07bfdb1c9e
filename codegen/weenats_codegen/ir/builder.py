"""A contract as it is written -> the IR. The contract has passed `lint` before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from weenats_codegen import naming, reserved
from weenats_codegen.ir.contract import (
    Aggregate,
    Auth,
    Contract,
    DeclaredError,
    Durability,
    Event,
    Operation,
    RateLimit,
)
from weenats_codegen.ir.document import document
from weenats_codegen.ir.library import shared_shapes
from weenats_codegen.ir.previous import event_versions
from weenats_codegen.ir.shapes import shape
from weenats_codegen.ir.shapes.grammar import ref_name
from weenats_codegen.ir.streams import seconds_of, stream_of_events, streams
from weenats_codegen.parser.walk import entries, owners

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.ir.library import Library
    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.source import Source
    from weenats_codegen.parser.walk import Entry, Node

Members = dict[str, Any]
_MAX_BYTES: Final = 64 * 1024 * 1024
"""How large the payload or result of a large operation may be if its contract does not say it."""


def build(source: Source, bundle: Bundle, libraries: Sequence[Library] = ()) -> Contract:
    """Return the contract with all Python names.

    Args:
        source: A valid contract.
        bundle: Its schemas.
        libraries: The libraries that it uses, those that they use included.
    """
    return _Builder(source, bundle, libraries).contract()


class _Builder:
    def __init__(self, source: Source, bundle: Bundle, libraries: Sequence[Library]) -> None:
        self._root: Final = source.root
        self._bundle: Final = bundle
        self._notes: Final = tuple(sorted(set(source.resources.notes)))
        self._libraries: Final = libraries
        self._shapes: Final = shape(
            bundle.definitions,
            bundle.roots,
            taken=bundle.taken | reserved.classes(),
            shared=shared_shapes(bundle, libraries),
        )
        self._data: Final = cast("Members", source.root.mapping)
        self._errors: Final = {
            entry.name: self._error(entry) for entry in entries(self._root, "errors")
        }
        self._aggregates: Final = {
            name: self._aggregate(name, node) for name, node in owners(self._root) if name
        }
        self._streams: Final = stream_of_events(source.root)
        self._events: Final = {
            entry.name: self._event(entry) for entry in entries(self._root, "events")
        }

    def contract(self) -> Contract:
        service = self._data["service"]
        return Contract(
            file=self._root.location.file,
            service=service,
            version=self._data["version"],
            description=self._data["description"],
            package=self._data.get("python", {}).get("package") or naming.package_name(service),
            client=naming.client_class_name(service),
            sync_client=naming.sync_client_class_name(service),
            consumer=naming.consumer_class_name(service),
            handlers=naming.handlers_class_name(service),
            stub=naming.handlers_stub_name(service, self._shapes.definitions.keys()),
            errors=tuple(self._errors.values()),
            aggregates=tuple(self._aggregates.values()),
            commands=self._operations("commands"),
            queries=self._operations("queries"),
            events=tuple(self._events.values()),
            streams=streams(self._root),
            bundle=self._bundle,
            shapes=self._shapes,
            notes=self._notes,
            libraries=tuple(self._libraries),
            document=document(self._root, self._bundle),
            durability=_durability(self._data.get("durability")),
        )

    def _aggregate(self, name: str, node: Node) -> Aggregate:
        return Aggregate(
            name=name,
            constant=naming.aggregate_constant_name(name),
            key=self._model(node.location.child("key")),
            state=self._model(node.location.child("state")),
            store=cast("Members", node.mapping).get("store", ""),
        )

    def _error(self, entry: Entry) -> DeclaredError:
        value: Members = entry.node.mapping
        return DeclaredError(
            name=entry.name,
            code=value["code"],
            description=value["description"],
            class_name=naming.error_class_name(entry.name),
            base=naming.base_error_class_name(value["code"]),
            details=self._model(entry.node.location.child("details")),
        )

    def _event(self, entry: Entry) -> Event:
        publish, subscribe = naming.event_methods(entry.name)
        return Event(
            name=entry.name,
            aggregate=self._aggregates.get(entry.aggregate),
            description=cast("Members", entry.node.mapping)["description"],
            constant=naming.constant_name(entry.name),
            data=self._model(entry.node.location.child("data")),
            publish=publish,
            subscribe=subscribe,
            fold=naming.method_name(entry.name),
            consume=naming.consumer_method(entry.name),
            stream=self._streams.get(entry.name),
            previous=event_versions(entry.node, naming.method_name(entry.name), self._bundle),
            deprecated=cast("Members", entry.node.mapping).get("deprecated", False),
        )

    def _operations(self, section: str) -> tuple[Operation, ...]:
        is_query = section == "queries"
        return tuple(
            self._operation(entry, is_query=is_query) for entry in entries(self._root, section)
        )

    def _operation(self, entry: Entry, *, is_query: bool) -> Operation:
        value: Members = entry.node.mapping
        place, aggregate = entry.node.location, self._aggregates.get(entry.aggregate)
        result = self._model(place.child("result")) or "None"
        if entry.is_standard and aggregate is not None:
            result = f"Entity[{aggregate.state}]"
        return Operation(
            name=entry.name,
            label=f"{entry.aggregate}.{entry.name}" if entry.is_standard else entry.name,
            aggregate=aggregate,
            description=value["description"],
            constant=naming.constant_name(entry.python_name),
            method=naming.method_name(entry.python_name),
            payload=self._model(place.child("parameters" if is_query else "payload")),
            result=result,
            errors=tuple(self._errors[error] for error in value.get("errors", ())),
            emits=tuple(self._events[event] for event in value.get("emits", ())),
            # A stream knows the ids of commands, so that a repeated one is not executed again.
            idempotent=value.get("idempotent", is_query or bool(aggregate and aggregate.store)),
            auth=_auth(value.get("auth")),
            rate_limit=_rate_limit(value.get("rateLimit")),
            timeout=_number(value, "timeout"),
            item=self._item(place.child("result")) if value.get("page") else "",
            iterate=naming.iterating_method(entry.python_name),
            deprecated=value.get("deprecated", False),
            once=seconds_of(value.get("once")),
            large=value.get("maxBytes", _MAX_BYTES) if value.get("large") else None,
        )

    def _item(self, place: Location) -> str:
        """Return the class or alias of the items of a list query, whose result is at a place."""
        page = self._shapes.definitions[self._model(place)]
        return ref_name(page["properties"]["items"]["items"])

    def _model(self, place: Location) -> str:
        """Return the class of a schema, "" if the contract has none there."""
        return self._bundle.names.get(place, "")


def _auth(value: Members | None) -> Auth | None:
    if value is None:
        return None
    return Auth(required=value.get("required", True), scopes=tuple(value.get("scopes", ())))


def _rate_limit(value: Members | None) -> RateLimit | None:
    if value is None:
        return None
    return RateLimit(
        max_requests_per_second=float(value["maxRequestsPerSecond"]), burst=_number(value, "burst")
    )


def _durability(value: Members | None) -> Durability | None:
    if value is None:
        return None
    sync = value.get("sync")
    seconds = 0 if sync == "always" else seconds_of(sync)
    return Durability(replicas=value.get("replicas", 1), sync=seconds)


def _number(value: Members, key: str) -> float | None:
    return float(value[key]) if key in value else None
