"""A contract as it is written -> the IR. The contract has passed `lint` before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from weenats_codegen import naming, reserved
from weenats_codegen.ir.contract import Auth, Contract, DeclaredError, Event, Operation, RateLimit
from weenats_codegen.ir.shapes import shape
from weenats_codegen.ir.shapes.grammar import ref_name

if TYPE_CHECKING:
    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.parser.source import Source

Members = dict[str, Any]


def build(source: Source, bundle: Bundle) -> Contract:
    """Return the contract with all Python names.

    Args:
        source: A valid contract.
        bundle: Its schemas.
    """
    return _Builder(source, bundle).contract()


class _Builder:
    def __init__(self, source: Source, bundle: Bundle) -> None:
        self._root: Final = source.root
        self._bundle: Final = bundle
        self._shapes: Final = shape(
            bundle.definitions, bundle.roots, taken=bundle.taken | reserved.classes()
        )
        self._data: Final = cast("Members", source.root.mapping)
        self._state: Final = self._model("aggregate", "state")
        self._errors: Final = {
            name: self._error(name, value) for name, value in self._data.get("errors", {}).items()
        }
        self._events: Final = {
            name: self._event(name, value) for name, value in self._data.get("events", {}).items()
        }

    def contract(self) -> Contract:
        service = self._data["service"]
        return Contract(
            file=self._root.location.file,
            service=service,
            version=self._data["version"],
            description=self._data["description"],
            aggregate=self._data["aggregate"]["type"],
            package=self._data.get("python", {}).get("package") or naming.package_name(service),
            client=naming.client_class_name(service),
            handlers=naming.handlers_class_name(service),
            stub=naming.handlers_stub_name(service, self._shapes.definitions.keys()),
            errors=tuple(self._errors.values()),
            commands=self._operations("commands"),
            queries=self._operations("queries"),
            events=tuple(self._events.values()),
            bundle=self._bundle,
            shapes=self._shapes,
        )

    def _error(self, name: str, value: Members) -> DeclaredError:
        return DeclaredError(
            name=name,
            code=value["code"],
            description=value["description"],
            class_name=naming.error_class_name(name),
            base=naming.base_error_class_name(value["code"]),
            details=self._model("errors", name, "details"),
        )

    def _event(self, name: str, value: Members) -> Event:
        publish, subscribe = naming.event_methods(name)
        return Event(
            name=name,
            description=value["description"],
            constant=naming.constant_name(name),
            data=self._model("events", name, "data"),
            publish=publish,
            subscribe=subscribe,
        )

    def _operations(self, section: str) -> tuple[Operation, ...]:
        operations: Members = self._data.get(section, {})
        is_query = section == "queries"
        default_result = f"Entity[{self._state}]" if is_query else "None"
        return tuple(
            Operation(
                name=name,
                description=value["description"],
                constant=naming.constant_name(name),
                method=naming.method_name(name),
                payload=self._model(section, name, "parameters" if is_query else "payload"),
                result=self._model(section, name, "result") or default_result,
                errors=tuple(self._errors[error] for error in value.get("errors", ())),
                emits=tuple(self._events[event] for event in value.get("emits", ())),
                idempotent=value.get("idempotent", is_query),
                auth=_auth(value.get("auth")),
                rate_limit=_rate_limit(value.get("rateLimit")),
                timeout=_number(value, "timeout"),
                item=self._item(section, name) if value.get("page") else "",
                iterate=naming.iterating_method(name),
            )
            for name, value in operations.items()
        )

    def _item(self, section: str, name: str) -> str:
        """Return the class or alias of the items of a list query."""
        page = self._shapes.definitions[self._model(section, name, "result")]
        return ref_name(page["properties"]["items"]["items"])

    def _model(self, *keys: str) -> str:
        """Return the class of a schema, "" if the contract has none there."""
        return self._bundle.names.get(self._root.location.child(*keys), "")


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


def _number(value: Members, key: str) -> float | None:
    return float(value[key]) if key in value else None
