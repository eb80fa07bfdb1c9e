"""A contract as it is written -> the IR. What `lint` has passed is taken as sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from weenats_codegen import naming
from weenats_codegen.ir.bundler import Bundler, Site
from weenats_codegen.ir.contract import Auth, Contract, DeclaredError, Event, Operation, RateLimit
from weenats_codegen.parser.diagnostics import joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.source import Source

_BASES: Final = {
    "INVALID_ARGUMENT": "InvalidArgumentError",
    "UNAUTHENTICATED": "UnauthenticatedError",
    "PERMISSION_DENIED": "PermissionDeniedError",
    "NOT_FOUND": "NotFoundError",
    "ALREADY_EXISTS": "AlreadyExistsError",
    "ABORTED": "AbortedError",
    "FAILED_PRECONDITION": "FailedPreconditionError",
    "RESOURCE_EXHAUSTED": "ResourceExhaustedError",
    "CANCELLED": "CancelledError",
    "INTERNAL": "InternalError",
    "UNIMPLEMENTED": "UnimplementedError",
    "UNAVAILABLE": "UnavailableError",
    "DEADLINE_EXCEEDED": "DeadlineExceededError",
}

Members = dict[str, "JsonValue"]


def build(source: Source) -> Contract:
    """Return the contract with every name decided."""
    return _Builder(source).contract()


class _Builder:
    def __init__(self, source: Source) -> None:
        self._root: Final = source.root
        self._data: Final = cast("Members", source.root.data)
        self._bundler: Final = Bundler(source)

    def contract(self) -> Contract:
        data = self._data
        service = str(data["service"])
        aggregate = _members(data["aggregate"])
        kind = str(aggregate["type"])
        state = self._model(
            "/aggregate/state",
            aggregate["state"],
            naming.class_name(kind),
            str(aggregate.get("description", f"The state of the aggregate {kind}.")),
        )
        errors = {name: self._error(name, value) for name, value in self._section("errors")}
        events = {name: self._event(name, value) for name, value in self._section("events")}
        commands = [
            self._command(name, value, errors, events) for name, value in self._section("commands")
        ]
        queries = [
            self._query(name, value, errors, state) for name, value in self._section("queries")
        ]
        package = _members(data.get("python", {})).get("package")
        return Contract(
            shown=self._root.shown,
            service=service,
            version=str(data["version"]),
            description=str(data["description"]),
            aggregate=kind,
            package=str(package) if package else naming.package_name(service),
            client=naming.client_class_name(service),
            handlers=naming.handlers_class_name(service),
            stub=self._stub(service),
            errors=tuple(errors.values()),
            commands=tuple(commands),
            queries=tuple(queries),
            events=tuple(events.values()),
            schema=self._bundler.schema,
        )

    def _section(self, name: str) -> list[tuple[str, Members]]:
        return [(key, _members(value)) for key, value in _members(self._data.get(name, {})).items()]

    def _error(self, name: str, value: Members) -> DeclaredError:
        pointer = joined("/errors", name)
        class_name = naming.error_class_name(name)
        description = str(value["description"])
        return DeclaredError(
            name=name,
            code=str(value["code"]),
            description=description,
            class_name=class_name,
            base=_BASES[str(value["code"])],
            details=self._optional(
                pointer, value, "details", naming.class_name(f"{name}-details"), description
            ),
        )

    def _event(self, name: str, value: Members) -> Event:
        pointer = joined("/events", name)
        constant = naming.constant_name(name)
        description = str(value["description"])
        member = naming.method_name(name).rstrip("_")
        return Event(
            name=name,
            description=description,
            constant=constant,
            data=self._optional(pointer, value, "data", naming.class_name(name), description),
            publish=f"publish_{member}",
            subscribe=f"subscribe_{member}",
        )

    def _command(
        self,
        name: str,
        value: Members,
        errors: Mapping[str, DeclaredError],
        events: Mapping[str, Event],
    ) -> Operation:
        pointer = joined("/commands", name)
        constant = naming.constant_name(name)
        description = str(value["description"])
        result = self._result(pointer, name, value)
        return Operation(
            name=name,
            description=description,
            constant=constant,
            method=naming.method_name(name),
            payload=self._optional(pointer, value, "payload", naming.class_name(name), description),
            result=result or "None",
            errors=tuple(errors[error] for error in _names(value, "errors")),
            emits=tuple(events[event] for event in _names(value, "emits")),
            idempotent=bool(value.get("idempotent", False)),
            auth=_auth(value),
            rate_limit=_rate_limit(value),
            timeout=_number(value, "timeout"),
        )

    def _query(
        self, name: str, value: Members, errors: Mapping[str, DeclaredError], state: str
    ) -> Operation:
        pointer = joined("/queries", name)
        constant = naming.constant_name(name)
        parameters = self._optional(
            pointer,
            value,
            "parameters",
            naming.class_name(f"{name}-parameters"),
            f"The parameters of the query {name}.",
        )
        return Operation(
            name=name,
            description=str(value["description"]),
            constant=constant,
            method=naming.method_name(name),
            payload=parameters,
            result=self._result(pointer, name, value) or f"Entity[{state}]",
            errors=tuple(errors[error] for error in _names(value, "errors")),
            emits=(),
            idempotent=bool(value.get("idempotent", True)),
            auth=_auth(value),
            rate_limit=_rate_limit(value),
            timeout=_number(value, "timeout"),
        )

    def _result(self, pointer: str, name: str, value: Members) -> str:
        description = f"The result of {name}."
        class_name = naming.class_name(f"{name}-result")
        return self._optional(pointer, value, "result", class_name, description)

    def _optional(
        self, pointer: str, value: Members, key: str, class_name: str, description: str
    ) -> str:
        if key not in value:
            return ""
        return self._model(joined(pointer, key), value[key], class_name, description)

    def _model(self, pointer: str, schema: JsonValue, class_name: str, description: str) -> str:
        """Add a schema; return the name of its class."""
        if isinstance(schema, dict) and "$ref" not in schema:
            schema = {"description": description, **schema}
        return self._bundler.add(Site(self._root, pointer), schema, class_name)

    def _stub(self, service: str) -> str:
        """Name the class in handlers.py; handlers want to import models beside it."""
        name = naming.handlers_class_name(service).removesuffix("Handlers")
        taken = {*self._bundler.definitions, *naming.RESERVED_CLASSES}
        return f"{name}Service" if name in taken else name


def _members(value: JsonValue) -> Members:
    """Return an object's members; `lint` has seen that it is one."""
    return cast("Members", value)


def _names(value: Members, key: str) -> list[str]:
    return cast("list[str]", value.get(key, []))


def _auth(value: Members) -> Auth | None:
    if "auth" not in value:
        return None
    auth = _members(value["auth"])
    return Auth(required=bool(auth.get("required", True)), scopes=tuple(_names(auth, "scopes")))


def _rate_limit(value: Members) -> RateLimit | None:
    if "rateLimit" not in value:
        return None
    limit = _members(value["rateLimit"])
    rate = float(cast("float", limit["maxRequestsPerSecond"]))
    return RateLimit(max_requests_per_second=rate, burst=_number(limit, "burst"))


def _number(value: Members, key: str) -> float | None:
    return float(cast("float", value[key])) if key in value else None
