"""The AsyncAPI 3.0 document of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from weenats_codegen.docs.facts import Facts
from weenats_codegen.ir.bundle import MANY, NAMED, ONE, PREFIX, reachable
from weenats_codegen.ir.shapes.grammar import key as identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema
    from weenats_codegen.ir.contract import Contract, DeclaredError, Event, Operation

_SCHEMAS: Final = "#/components/schemas/"
_DOCUMENT = dict[str, Any]
_DEPENDENT: Final = ("dependentRequired", "dependentSchemas")
_METADATA: Final = "weenats.metadata"
_DURATION: Final = "weenats.duration"
_STANDARD: Final[_DOCUMENT] = {
    _METADATA: {"type": "object", "description": "Correlation, token, context; all optional."},
    _DURATION: {
        "type": "number", "minimum": 0, "description": "Milliseconds that the service needed.",
    },
}  # fmt: skip
"""Parts of all messages; definitions of contracts have no dot in their names."""


def asyncapi(contract: Contract) -> _DOCUMENT:
    """Return the AsyncAPI 3.0 document of a contract.

    Schemas are those of AsyncAPI, a superset of draft-07. `unevaluatedProperties`,
    `unevaluatedItems`, `minContains` and `maxContains` have no counterpart there, and remain.

    Args:
        contract: The contract.
    """
    return _Document(contract).document()


class _Document:
    def __init__(self, contract: Contract) -> None:
        self._contract: Final = contract
        self._facts: Final = Facts(contract)
        self._channels: Final[_DOCUMENT] = {}
        self._operations: Final[_DOCUMENT] = {}
        self._messages: Final[_DOCUMENT] = {}

    def document(self) -> _DOCUMENT:
        contract = self._contract
        for operation in contract.operations:
            self._add_operation(operation)
        for event in contract.events:
            self._add_event(event)
        document: _DOCUMENT = {
            "asyncapi": "3.0.0",
            "info": {
                "title": contract.service,
                "version": contract.version,
                "description": contract.description,
            },
            "defaultContentType": "application/json",
            "servers": {"nats": {"host": "localhost:4222", "protocol": "nats"}},
            "channels": self._channels,
            "operations": self._operations,
            "components": {"messages": self._messages, "schemas": self._schemas()},
        }
        if any(_needs_token(operation) for operation in contract.operations):
            document["components"]["securitySchemes"] = {
                "jwt": {
                    "type": "httpApiKey",
                    "in": "header",
                    "name": "authorization",
                    "description": "A JSON Web Token in metadata.authentication of the request.",
                }
            }
        return document

    def _add_operation(self, operation: Operation) -> None:
        label = operation.label
        self._messages[f"{label}.request"] = self._request(operation)
        self._messages[f"{label}.success"] = self._success(operation)
        self._messages[f"{label}.failure"] = self._failure(operation)
        self._channels[label] = {
            "address": self._facts.subject(operation),
            "messages": {"request": {"$ref": _message(f"{label}.request")}},
        }
        names = ("success", "failure")
        self._channels[f"{label}.reply"] = {
            "address": None,
            "description": "The reply subject of the request.",
            "messages": {name: {"$ref": _message(f"{label}.{name}")} for name in names},
        }
        self._operations[label] = {
            "action": "receive",
            "channel": {"$ref": _channel(label)},
            "summary": operation.description.split("\n", 1)[0],
            "description": operation.description,
            "messages": [{"$ref": f"{_channel(label)}/messages/request"}],
            "tags": _tags("command" if self._facts.is_command(operation) else "query", operation),
            "reply": {
                "channel": {"$ref": _channel(f"{label}.reply")},
                "messages": [
                    {"$ref": f"{_channel(f'{label}.reply')}/messages/{name}"} for name in names
                ],
            },
            "x-idempotent": operation.idempotent,
            "x-errors": [
                {"error": error.name, "code": error.code, "description": error.description}
                for error in operation.errors
            ],
            "x-emits": [event.name for event in operation.emits],
            **_policies(operation),
        }

    def _add_event(self, event: Event) -> None:
        label = f"events.{event.name}"
        summary = event.description.split("\n", 1)[0]
        self._messages[label] = {
            "name": event.name,
            "title": event.name,
            "summary": summary,
            **self._event_payload(event),
        }
        self._channels[label] = {
            "address": self._facts.subject(event),
            "messages": {"event": {"$ref": _message(label)}},
        }
        self._operations[label] = {
            "action": "send",
            "channel": {"$ref": _channel(label)},
            "summary": summary,
            "description": event.description,
            "messages": [{"$ref": f"{_channel(label)}/messages/event"}],
            "tags": _tags("event", event),
            **({} if event.stream is None else {"x-stream": event.stream.name}),
        }

    def _event_payload(self, event: Event) -> _DOCUMENT:
        """Return the schema and the examples of the messages of an event."""
        properties: _DOCUMENT = {
            "id": {"type": "string", "description": "A ULID, the same if it comes several times."},
            "type": {"const": event.name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": _schema(event.data),
            "revision": {"type": "integer", "minimum": 0},
            "metadata": _schema(_METADATA),
        }
        payload = _envelope(properties, ["id", "type", "timestamp", "data"])
        example: _DOCUMENT = {
            "id": "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
            "type": event.name,
            "timestamp": "2026-03-01T09:30:00.125Z",
        }
        if event.aggregate is not None:
            properties["aggregate"] = self._identity(event.aggregate.name, event.aggregate.key)
            key = self._facts.key(event.aggregate)
            example["aggregate"] = {"type": event.aggregate.name, "key": key}
            if key is None:
                return {"payload": payload}
        values = self._facts.sampler.definition(event.data)
        return {"payload": payload, **_examples({**example, "data": value} for value in values)}

    def _identity(self, kind: str, key: str) -> _DOCUMENT:
        own = _schema(key) if key else {"type": "string", "maxLength": 256}
        return _envelope({"type": {"const": kind}, "key": own}, ["type", "key"])

    def _request(self, operation: Operation) -> _DOCUMENT:
        member = "command" if self._facts.is_command(operation) else "query"
        exchange = self._facts.exchange(operation)
        properties: _DOCUMENT = {"metadata": _schema(_METADATA)}
        required: list[str] = []
        example: _DOCUMENT = {}
        if operation.aggregate is not None:
            aggregate = operation.aggregate
            properties["aggregateId"] = self._identity(aggregate.name, aggregate.key)
            required.append("aggregateId")
            example["aggregateId"] = {"type": aggregate.name, "key": exchange.key}
        examples = [example]
        if operation.payload:
            properties[member] = _schema(operation.payload)
            required.append(member)
            examples = [{**example, member: value} for value in exchange.payloads]
        if operation.aggregate is not None and exchange.key is None:
            examples = []
        return {
            "name": f"{operation.label}.request",
            "title": f"Request of {operation.label}",
            "payload": _envelope(properties, required),
            **_examples(examples),
        }

    def _success(self, operation: Operation) -> _DOCUMENT:
        exchange = self._facts.exchange(operation)
        state = self._facts.state(operation)
        properties: _DOCUMENT = {
            "success": {"const": True},
            "duration": _schema(_DURATION),
            "metadata": _schema(_METADATA),
        }
        required = ["success", "duration"]
        head: _DOCUMENT = {"success": True, "duration": 1.25}
        examples = [head]
        if state and operation.aggregate is not None:
            aggregate = operation.aggregate
            parts = {
                "id": self._identity(aggregate.name, aggregate.key),
                "state": _schema(state),
                "revision": {"type": "integer", "minimum": 0},
            }
            properties["entity"] = _envelope(parts, ["id", "state", "revision"])
            required.append("entity")
            identity = {"type": aggregate.name, "key": exchange.key}
            examples = [
                {**head, "entity": {"id": identity, "state": value, "revision": 1}}
                for value in exchange.results
                if exchange.key is not None
            ]
        elif operation.result != "None":
            properties["result"] = _schema(operation.result)
            required.append("result")
            examples = [{**head, "result": value} for value in exchange.results]
        return {
            "name": f"{operation.label}.success",
            "title": f"Success of {operation.label}",
            "payload": _envelope(properties, required),
            **_examples(examples),
        }

    def _failure(self, operation: Operation) -> _DOCUMENT:
        body = {
            "code": {"type": "string", "description": "A canonical code."},
            "message": {"type": "string", "description": "For people; safe to show."},
            "details": {"type": "object"},
        }
        properties: _DOCUMENT = {
            "success": {"const": False},
            "error": {
                **_envelope(body, ["code", "message"]),
                "anyOf": [*map(self._declared, operation.errors), True],
            },
            "duration": _schema(_DURATION),
            "metadata": _schema(_METADATA),
        }
        examples = [
            {
                "name": error.name,
                "summary": error.description,
                "payload": {"success": False, "error": self._body(error), "duration": 0.4},
            }
            for error in operation.errors
        ]
        message: _DOCUMENT = {
            "name": f"{operation.label}.failure",
            "title": f"Failure of {operation.label}",
            "payload": _envelope(properties, ["success", "error", "duration"]),
        }
        return {**message, "examples": examples} if examples else message

    def _declared(self, error: DeclaredError) -> _DOCUMENT:
        parts: _DOCUMENT = {"error": {"const": error.name}}
        required = ["error"]
        if error.details:
            parts["data"] = _schema(error.details)
            required.append("data")
        details = _envelope(parts, required)
        return {
            "title": error.name,
            "description": error.description,
            **_envelope({"code": {"const": error.code}, "details": details}, ["code", "details"]),
        }

    def _body(self, error: DeclaredError) -> _DOCUMENT:
        details: _DOCUMENT = {"error": error.name}
        if error.details:
            details["data"] = next(iter(self._facts.sampler.definition(error.details)), None)
        return {"code": error.code, "message": error.description, "details": details}

    def _schemas(self) -> _DOCUMENT:
        bundle = self._contract.bundle
        names = reachable(bundle.definitions, bundle.roots)
        own: _DOCUMENT = {name: _whole(as_draft_7(bundle.definitions[name])) for name in names}
        return {**_STANDARD, **own}


def as_draft_7(schema: JsonValue) -> JsonValue:
    """Return a schema of a bundle as the schemas of AsyncAPI documents are written."""
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in _translated(schema).items():
        if key in ONE:
            result[key] = as_draft_7(value)
        elif key in MANY and isinstance(value, list):
            result[key] = [as_draft_7(part) for part in value]
        elif key in {*NAMED, "dependencies"} and isinstance(value, dict):
            result[key] = {name: as_draft_7(part) for name, part in value.items()}
        else:
            result[key] = value
    if "prefixItems" in result:
        if "items" in result:
            result["additionalItems"] = result["items"]
        result["items"] = result.pop("prefixItems")
    return result


def _whole(schema: JsonValue) -> JsonValue:
    """Return a schema as a mapping, which components of documents are."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema


def _translated(part: Schema) -> Schema:
    result: Schema = dict(part)
    if isinstance(ref := result.get("$ref"), str):
        result["$ref"] = ref.replace(PREFIX, _SCHEMAS)
        if len(result) > 1:  # nothing counts beside a reference
            own = {key: value for key, value in result.items() if key not in {"$ref", "allOf"}}
            parts = result.get("allOf")
            others = parts if isinstance(parts, list) else []
            result = {**own, "allOf": [{"$ref": result["$ref"]}, *others]}
    if isinstance(values := result.get("enum"), list):  # 1 and 1.0 are equal
        result["enum"] = list({identity(value): value for value in values}.values())
    if result.get("minContains") == 0:  # unknown to draft-07, which would demand an item
        result.pop("contains", None)
    required, schemas = (result.pop(name, None) or {} for name in _DEPENDENT)
    if required or schemas:
        result["dependencies"] = _dependencies(cast("Schema", required), cast("Schema", schemas))
    if "discriminator" in result:  # that of AsyncAPI is only the name of the member
        chosen = result["discriminator"]
        result["discriminator"] = chosen["propertyName"] if isinstance(chosen, dict) else chosen
    return result


def _dependencies(required: Schema, schemas: Schema) -> Schema:
    """Return what other members a member asks for, in one keyword."""
    both: Schema = {
        name: {"allOf": [{"required": required[name]}, schemas[name]]}
        for name in required
        if name in schemas
    }
    return {**required, **schemas, **both}


def _envelope(properties: _DOCUMENT, required: list[str]) -> _DOCUMENT:
    found: _DOCUMENT = {"type": "object", "properties": properties}
    return {**found, "required": required} if required else found


def _examples(payloads: Iterable[_DOCUMENT]) -> _DOCUMENT:
    """Return the member `examples` of a message; nothing if no value is known that matches."""
    found = [{"payload": payload} for payload in payloads]
    return {"examples": found} if found else {}


def _policies(operation: Operation) -> _DOCUMENT:
    """Return the members of an operation about its timeout, its limits, and its callers."""
    found: _DOCUMENT = {}
    if operation.timeout is not None:
        found["x-timeout"] = operation.timeout
    if operation.large is not None:
        found["x-large"] = operation.large
    if operation.once is not None:
        found["x-once"] = operation.once
    if operation.rate_limit is not None:
        limit = operation.rate_limit
        found["x-rate-limit"] = {"maxRequestsPerSecond": limit.max_requests_per_second}
        if limit.burst is not None:
            found["x-rate-limit"]["burst"] = limit.burst
    if _needs_token(operation):
        found["security"] = [{"$ref": "#/components/securitySchemes/jwt"}]
        if operation.auth is not None and operation.auth.scopes:
            found["x-scopes"] = list(operation.auth.scopes)
    return found


def _tags(kind: str, member: Operation | Event) -> list[_DOCUMENT]:
    """Return the tags of an operation; AsyncAPI has no other way to deprecate one."""
    return [{"name": kind}, *([{"name": "deprecated"}] if member.deprecated else [])]


def _needs_token(operation: Operation) -> bool:
    return operation.auth is not None and (operation.auth.required or bool(operation.auth.scopes))


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{name}"}


def _message(name: str) -> str:
    return f"#/components/messages/{name}"


def _channel(name: str) -> str:
    return f"#/channels/{name}"
