"""Two versions of a contract: every rule, with its level, its place and who breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from weenats.contract import RateLimit
from weenats.protocol.messages import AggregateId
from weenats.protocol.timeouts import DEFAULT_TIMEOUT
from weenats_codegen.compatibility import operations
from weenats_codegen.compatibility.compare import compare, compare_all
from weenats_codegen.compatibility.findings import Comparison, Finding, Level
from weenats_codegen.compatibility.messages import ANY_KEY
from weenats_codegen.compatibility.rules import RULES
from weenats_codegen.compatibility.versions import Version, parsed, raised
from weenats_codegen.generate import read_contracts
from weenats_codegen.ir import contract as ir
from weenats_codegen.loading import read

Contract = dict[str, Any]
_TEXT: Final = {"type": "string", "maxLength": 9}
_CONTRACT: Final[Contract] = {
    "service": "shop",
    "version": "1.2.0",
    "description": "Sells.",
    "aggregates": {
        "order": {
            "key": {"type": "string", "maxLength": 20},
            "state": {"$ref": "#/$defs/Order"},
            "commands": {
                "place": {
                    "description": "Place.",
                    "payload": {
                        "type": "object",
                        "required": ["item"],
                        "properties": {
                            "item": _TEXT,
                            "count": {"type": "integer", "default": 1},
                            "gift": {"type": "boolean", "deprecated": True},
                        },
                        "additionalProperties": False,
                    },
                    "result": {"$ref": "#/$defs/Order"},
                    "errors": ["sold-out"],
                    "emits": ["placed"],
                    "idempotent": True,
                    "timeout": 5,
                    "rateLimit": {"maxRequestsPerSecond": 10},
                    "auth": {"scopes": ["orders:write"]},
                },
                "cancel": {
                    "description": "Cancel.",
                    "payload": _TEXT,
                    "result": _TEXT,
                    "deprecated": True,
                    "once": "24h",
                },
            },
            "queries": {"get": {"description": "Show."}},
            "events": {
                "placed": {"description": "Placed.", "data": {"$ref": "#/$defs/Order"}},
                "aged": {"description": "Old.", "data": _TEXT, "deprecated": True},
                "kept": {"description": "Kept.", "data": _TEXT, "stream": {"maxAge": "30d"}},
            },
        },
        "cart": {
            "store": "stream",
            "state": _TEXT,
            "commands": {"pour": {"description": "P.", "payload": _TEXT, "emits": ["filled"]}},
            "events": {
                "filled": {"description": "Filled.", "data": _TEXT},
                "left": {"description": "Left.", "data": _TEXT, "deprecated": True},
            },
        },
    },
    "commands": {
        "clear": {"description": "Clear.", "payload": _TEXT},
        "fill": {"description": "Fill.", "payload": _TEXT, "large": True, "maxBytes": 2_000_000},
    },
    "queries": {"count": {"description": "Count.", "result": {"type": "integer"}}},
    "events": {"opened": {"description": "Opened.", "data": _TEXT}},
    "errors": {
        "sold-out": {"code": "FAILED_PRECONDITION", "description": "Gone.", "details": _TEXT},
        "closed": {"code": "UNAVAILABLE", "description": "Closed."},
    },
    "$defs": {
        "Order": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"enum": ["open", "done"]},
                "note": {"type": "string", "deprecated": True},
            },
            "additionalProperties": False,
        }
    },
}

Edit = Callable[[Contract], object]


def _order(contract: Contract) -> Any:
    return contract["aggregates"]["order"]


def _place(contract: Contract) -> Any:
    return _order(contract)["commands"]["place"]


def _cancel(contract: Contract) -> Contract:
    """Return the command `cancel` of a contract."""
    command: Contract = contract["aggregates"]["order"]["commands"]["cancel"]
    return command


def _status(contract: Contract) -> Any:
    return contract["$defs"]["Order"]["properties"]["status"]["enum"]


def _moved(contract: Contract) -> None:
    _order(contract)["commands"]["clear"] = contract.pop("commands")["clear"]


def _cart(contract: Contract) -> Any:
    return contract["aggregates"]["cart"]


def _kept(contract: Contract) -> Contract:
    return _order(contract)["events"]["kept"]


def _moved_event(contract: Contract) -> None:
    _order(contract)["events"]["opened"] = contract.pop("events")["opened"]


CASES: Final[list[tuple[str, Edit, str]]] = [
    # the rule, the edit, the end of the place
    (
        "request-narrowed",
        lambda c: _place(c)["payload"]["properties"]["item"].update(maxLength=8),
        "/commands/place/payload/properties/item/maxLength",
    ),
    (
        "request-narrowed",
        lambda c: _place(c)["payload"].update(required=["item", "count"]),
        "/commands/place/payload/required",
    ),
    (
        "request-widened",
        lambda c: _place(c)["payload"]["properties"].update(note=_TEXT),
        "/commands/place/payload/properties/note",
    ),
    ("reply-widened", lambda c: _status(c).append("lost"), "/$defs/Order/properties/status/enum"),
    ("reply-narrowed", lambda c: _status(c).pop(), "/$defs/Order/properties/status/enum"),
    (
        "kept-reply-narrowed",
        lambda c: _cancel(c).update(result={"type": "string", "maxLength": 8}),
        "/commands/cancel/result/maxLength",
    ),
    ("event-widened", lambda c: _status(c).append("lost"), "/$defs/Order/properties/status/enum"),
    ("event-narrowed", lambda c: _status(c).pop(), "/$defs/Order/properties/status/enum"),
    (
        "details-widened",
        lambda c: c["errors"]["sold-out"]["details"].update(maxLength=10),
        "/errors/sold-out/details/maxLength",
    ),
    (
        "details-narrowed",
        lambda c: c["errors"]["sold-out"]["details"].update(maxLength=8),
        "/errors/sold-out/details/maxLength",
    ),
    ("key-narrowed", lambda c: _order(c)["key"].update(maxLength=8), "/order/key/maxLength"),
    ("key-widened", lambda c: _order(c).pop("key"), "/aggregates"),
    (
        "member-removed-deprecated",
        lambda c: _place(c)["payload"]["properties"].pop("gift"),
        "/commands/place/payload/additionalProperties",
    ),
    (
        "default-changed",
        lambda c: _place(c)["payload"]["properties"]["count"].update(default=2),
        "/commands/place/payload/properties/count",
    ),
    ("operation-removed", lambda c: c.pop("commands"), "/commands/clear"),
    (
        "operation-removed-deprecated",
        lambda c: _order(c)["commands"].pop("cancel"),
        "/commands/cancel",
    ),
    (
        "operation-added",
        lambda c: c["commands"].update(shut={"description": "Shut.", "payload": _TEXT}),
        "/commands/shut",
    ),
    ("operation-moved", _moved, "/aggregates/order/commands/clear"),
    (
        "payload-added",
        lambda c: c["queries"]["count"].update(parameters={"type": "object"}),
        "/queries/count",
    ),
    ("result-removed", lambda c: _place(c).pop("result"), "/commands/place"),
    (
        "result-added",
        lambda c: c["commands"]["clear"].update(result={"type": "integer"}),
        "/commands/clear",
    ),
    ("idempotency-lost", lambda c: _place(c).pop("idempotent"), "/commands/place"),
    (
        "large-removed",
        lambda c: c["commands"].update(fill={"description": "Fill.", "payload": _TEXT}),
        "/commands/fill",
    ),
    (
        "large-lowered",
        lambda c: c["commands"]["fill"].update(maxBytes=1_500_000),
        "/commands/fill/maxBytes",
    ),
    ("large-raised", lambda c: c["commands"]["fill"].pop("maxBytes"), "/commands/fill"),
    (
        "once-shortened",
        lambda c: _cancel(c).update(once="90m"),
        "/aggregates/order/commands/cancel/once",
    ),
    (
        "once-prolonged",
        lambda c: _cancel(c).update(once="2d"),
        "/aggregates/order/commands/cancel/once",
    ),
    (
        "idempotency-gained",
        lambda c: c["commands"]["clear"].update(idempotent=True),
        "/commands/clear",
    ),
    (
        "authentication-required",
        lambda c: c["queries"]["count"].update(auth={"required": True}),
        "/queries/count/auth",
    ),
    (
        "scope-required",
        lambda c: _place(c)["auth"].update(scopes=["orders:write", "vip"]),
        "/commands/place/auth/scopes",
    ),
    ("authentication-relaxed", lambda c: _place(c).pop("auth"), "/commands/place/auth"),
    (
        "authentication-relaxed",
        lambda c: _place(c).update(auth={"required": True}),
        "/commands/place/auth/scopes",
    ),
    ("timeout-raised", lambda c: _place(c).update(timeout=9), "/commands/place/timeout"),
    ("timeout-changed", lambda c: _place(c).pop("timeout"), "/commands/place/timeout"),
    (
        "rate-limit-lowered",
        lambda c: _place(c)["rateLimit"].update(maxRequestsPerSecond=9),
        "/commands/place/rateLimit",
    ),
    ("rate-limit-changed", lambda c: _place(c).pop("rateLimit"), "/commands/place/rateLimit"),
    ("error-added", lambda c: _place(c)["errors"].append("closed"), "/commands/place/errors"),
    ("error-removed", lambda c: _place(c).pop("errors"), "/commands/place/errors"),
    (
        "error-code-changed",
        lambda c: c["errors"]["closed"].update(code="ABORTED"),
        "/errors/closed/code",
    ),
    ("details-removed", lambda c: c["errors"]["sold-out"].pop("details"), "/errors/sold-out"),
    ("details-added", lambda c: c["errors"]["closed"].update(details=_TEXT), "/errors/closed"),
    ("event-removed", lambda c: c.pop("events"), "/events/opened"),
    ("event-removed-deprecated", lambda c: _order(c)["events"].pop("aged"), "/events/aged"),
    (
        "event-added",
        lambda c: c["events"].update(shut={"description": "Shut.", "data": _TEXT}),
        "/events/shut",
    ),
    ("event-moved", _moved_event, "/aggregates/order/events/opened"),
    (
        "event-version-raised",
        lambda c: _kept(c).update(previous=[{"data": _TEXT}]),
        "/events/kept/previous",
    ),
    ("event-durable", lambda c: _order(c)["events"]["placed"].update(durable=True), "/placed"),
    ("event-not-durable", lambda c: _kept(c).pop("stream"), "/events/kept"),
    ("event-stream-changed", lambda c: _kept(c)["stream"].update(name="kept"), "/events/kept"),
    ("partitions-changed", lambda c: _kept(c)["stream"].update(partitions=3), "/events/kept"),
    ("event-kept-shorter", lambda c: _kept(c)["stream"].update(maxAge="7d"), "/events/kept"),
    ("stream-changed", lambda c: _kept(c)["stream"].update(replicas=3), "/events/kept"),
    (
        "stored-event-narrowed",
        lambda c: _cart(c)["events"]["filled"].update(data={"type": "string", "maxLength": 3}),
        "/events/filled/data/maxLength",
    ),
    ("stored-event-removed", lambda c: _cart(c)["events"].pop("left"), "/events/left"),
    ("store-changed", lambda c: _cart(c).pop("store"), "/aggregates/cart"),
    ("event-not-emitted", lambda c: _place(c).pop("emits"), "/commands/place/emits"),
    ("event-emitted", lambda c: c["commands"]["clear"].update(emits=["opened"]), "/clear/emits"),
    ("version-lowered", lambda c: c.update(version="1.1.9"), "/version"),
    ("version-not-raised", lambda c: c["commands"]["clear"].update(idempotent=True), "/version"),
    (
        "not-known",
        lambda c: c["commands"]["clear"]["payload"].update(pattern="^(.)(\\1)$"),
        "/commands/clear/payload",
    ),
]


def _compared(folder: Path, edit: Edit, base: Edit = lambda _: None) -> Comparison:
    old = json.loads(json.dumps(_CONTRACT))  # in which no two parts are the same object
    base(old)
    new = json.loads(json.dumps(old))
    edit(new)
    contracts = []
    for name, contract in (("old", old), ("new", new)):
        (folder / name).mkdir(parents=True)
        (folder / name / "service.json").write_text(json.dumps(contract))
        contracts.append(read(folder / name))
    return compare(*contracts)


def _found(comparison: Comparison, rule: str) -> Finding:
    [found, *_] = [each for each in comparison.findings if each.rule.id == rule]
    return found


def _unsure(contract: Contract) -> None:
    contract["commands"]["clear"]["payload"]["pattern"] = "^(.)\\1$"


@pytest.mark.parametrize(("rule", "edit", "place"), CASES, ids=[case[0] for case in CASES])
def test_rule(rule: str, edit: Edit, place: str, tmp_path: Path) -> None:
    """The edit is a finding of the rule, at its place; only errors make it incompatible."""
    comparison = _compared(tmp_path, edit, _unsure if rule == "not-known" else lambda _: None)
    found = _found(comparison, rule)
    assert found.location.pointer.endswith(place), found
    levels = {each.rule.level for each in comparison.findings}
    assert comparison.is_compatible is (Level.ERROR not in levels)
    assert (found.document is not None) == bool(
        rule.endswith(("-narrowed", "-widened")) or rule == "member-removed-deprecated"
    )


def test_every_rule_has_a_case() -> None:
    """Every rule is tested, those about whole services elsewhere."""
    rules = {rule for rule, _, _ in CASES}
    others = {"service-added", "service-removed", "payload-removed", "stored-event-changed"}
    assert rules | others == {*RULES}


def test_replies_of_stored_aggregates_are_kept(tmp_path: Path) -> None:
    """A repeat gets the result of the commit, which the new version has to accept."""

    def edit(contract: Contract) -> None:
        _cart(contract)["commands"]["pour"]["result"]["maxLength"] = 8

    def base(contract: Contract) -> None:
        _cart(contract)["commands"]["pour"]["result"] = dict(_TEXT)

    found = _found(_compared(tmp_path, edit, base), "kept-reply-narrowed")
    assert found.message.endswith("; a repeat of a call that had one gets INTERNAL")


def test_new_member_of_a_result_is_in_no_kept_reply(tmp_path: Path) -> None:
    """An optional member that the old version has not declared is no reason to warn."""

    def base(contract: Contract) -> None:
        _cancel(contract)["result"] = {"type": "object", "properties": {"a": _TEXT}}

    def edit(contract: Contract) -> None:
        _cancel(contract)["result"]["properties"]["b"] = _TEXT

    rules = {each.rule.id for each in _compared(tmp_path, edit, base).findings}
    assert "reply-narrowed" in rules
    assert "kept-reply-narrowed" not in rules


def test_new_event_is_unknown_to_what_runs(tmp_path: Path) -> None:
    """The finding says who cannot process it, so that nobody loses it in a rolling update."""

    def edit(contract: Contract) -> None:
        event = {"description": "New.", "data": _TEXT, "durable": True}
        contract["events"]["shut"] = _cart(contract)["events"]["lent"] = event

    found = {each.used_by: each.message for each in _compared(tmp_path, edit).findings}
    passed = "old services do not publish it; consumers and projections of the old contract pass"
    assert found["shut",] == f"the event shut is new; {passed} over it"
    assert found["lent",] == (
        f"the event lent is new; {passed} over it; old services cannot read a cart that has one"
    )


def test_equal_contracts(tmp_path: Path) -> None:
    """Equal contracts have no findings."""
    assert _compared(tmp_path, lambda _: None).findings == ()


def test_descriptions_and_definitions_may_change(tmp_path: Path) -> None:
    """Other words, other names of definitions and other files of them are no findings."""

    def edit(contract: Contract) -> None:
        contract["description"] = "Buys."
        contract["$defs"]["Purchase"] = contract["$defs"].pop("Order")
        _order(contract)["state"] = _place(contract)["result"] = {"$ref": "#/$defs/Purchase"}
        _order(contract)["events"]["placed"]["data"] = {"$ref": "#/$defs/Purchase"}
        contract["version"] = "1.2.1"

    assert _compared(tmp_path, edit).findings == ()


def test_one_finding_for_a_shared_schema(tmp_path: Path) -> None:
    """A schema of several operations is one finding, which names them."""
    found = _found(_compared(tmp_path, lambda c: _status(c).append("lost")), "reply-widened")
    assert found.used_by == ("place", "order.get")
    assert found.document is not None
    assert found.document.value == {"status": "lost"}
    assert (found.document.accepted_by, found.document.refused_by) == ("new", "old")
    assert (found.document.refused_at, found.document.keyword) == ("/status", "enum")


def test_each_reason_has_a_document(tmp_path: Path) -> None:
    """Several changes of one schema are findings of their own."""

    def edit(contract: Contract) -> None:
        payload = _place(contract)["payload"]
        payload["required"] = ["item", "count"]
        payload["properties"]["item"]["maxLength"] = 3
        del payload["properties"]["gift"]

    findings = _compared(tmp_path, edit).findings
    reasons = [
        each.message for each in findings if each.document and each.rule.breaks == "old client"
    ]
    assert reasons == [
        "the new version refuses a request at /item: maxLength is 3",
        'the new version refuses a request without the member "count"',
        'the new version refuses a request with the member "gift"',
    ]


def test_warnings_hide_no_error(tmp_path: Path) -> None:
    """However many deprecated members are gone, what breaks somebody is found."""
    gone = {f"a{at}": {"type": "string", "deprecated": True} for at in range(12)}

    def base(contract: Contract) -> None:
        members = {**gone, "code": {"type": "string"}}
        contract["commands"]["clear"]["payload"] = {
            "type": "object",
            "properties": members,
            "additionalProperties": False,
        }

    def edit(contract: Contract) -> None:
        members = {"code": {"type": "string", "maxLength": 3}}
        contract["commands"]["clear"]["payload"]["properties"] = members

    comparison = _compared(tmp_path, edit, base)
    assert _found(comparison, "request-narrowed").message.endswith("/code: maxLength is 3")
    assert _found(comparison, "member-removed-deprecated")


@pytest.mark.parametrize(
    ("old", "new", "keyword"),
    [
        ({}, {"contentEncoding": "base64"}, "contentEncoding"),
        ({"pattern": "^[a-z]+$"}, {"contentEncoding": "base64"}, "contentEncoding"),
        ({"contentEncoding": "base64"}, {}, ""),
        ({"contentEncoding": "base64", "maxLength": 9}, {"maxLength": 9}, ""),
        ({}, {"contentEncoding": "base64", "format": "uuid"}, "format"),
        ({}, {"contentEncoding": "base64", "x-python-type": "str"}, ""),
        ({}, {"contentEncoding": "base64", "pattern": "^a"}, "pattern"),
        ({}, {"allOf": [{"contentEncoding": "base64"}]}, "contentEncoding"),
    ],
)
def test_text_that_encodes_bytes(
    old: Contract, new: Contract, keyword: str, tmp_path: Path
) -> None:
    """Text that is not base64 is refused where a contract says that it is, and nowhere else."""

    def put(member: Contract) -> Edit:
        schema = {"type": "object", "properties": {"code": {"type": "string", **member}}}
        return lambda contract: contract["commands"]["clear"].update(payload=schema)

    comparison = _compared(tmp_path, put(new), put(old))
    found = [each for each in comparison.findings if each.rule.id == "request-narrowed"]
    assert [each.document.keyword for each in found if each.document] == [keyword] * bool(keyword)
    assert all(each.location.pointer.endswith(f"/{keyword}") for each in found)


def test_anonymous_callers_that_may_be_refused(tmp_path: Path) -> None:
    """Where the contract allows no anonymous callers any more, the service decides."""

    def base(contract: Contract) -> None:
        contract["queries"]["count"]["auth"] = {"required": False}

    comparison = _compared(tmp_path, lambda c: c["queries"]["count"].pop("auth"), base)
    found = _found(comparison, "authentication-required")
    assert found.message == "count requires a token if the service does, and required none"


def test_command_that_does_not_answer_repeats_any_more(tmp_path: Path) -> None:
    """Old clients retry what must not be done twice; an idempotent one may lose it."""
    comparison = _compared(tmp_path, lambda c: _cancel(c).pop("once"))
    found = _found(comparison, "idempotency-lost")
    assert "does not answer repeats (once) any more" in found.message
    comparison = _compared(tmp_path / "kept", lambda c: _cancel(c).update(idempotent=True))
    assert not [each for each in comparison.findings if "idempotency" in each.rule.id]


def test_payload_removed(tmp_path: Path) -> None:
    """A query without parameters ignores those of old clients."""

    def base(contract: Contract) -> None:
        contract["queries"]["count"]["parameters"] = {"type": "object"}

    comparison = _compared(tmp_path, lambda c: c["queries"]["count"].pop("parameters"), base)
    assert _found(comparison, "payload-removed").rule.level is Level.NOTE


def test_error_and_aggregate_that_are_gone(tmp_path: Path) -> None:
    """What is gone as a whole is a finding of the operations that had it, and of no schema."""

    def edit(contract: Contract) -> None:
        del contract["errors"]["closed"]
        contract["aggregates"]["shelf"] = contract["aggregates"].pop("order")

    comparison = _compared(tmp_path, edit)
    assert not {each.rule.id for each in comparison.findings} & {
        "error-code-changed",
        "details-removed",
        "key-narrowed",
        "key-widened",
    }
    moved = [each.message for each in comparison.findings if each.rule.id == "operation-moved"]
    assert (
        "place is called at shop.command.shelf.place and no more at shop.command.order.place"
        in (moved)
    )


def test_refused_values_of_any_kind(tmp_path: Path) -> None:
    """A message names a long keyword only; the place of a schema that allows all is that schema."""

    def base(contract: Contract) -> None:
        contract["commands"]["clear"]["payload"] = {
            "type": "object",
            "properties": {"any": True, "code": {"type": "string"}},
        }

    def edit(contract: Contract) -> None:
        members = contract["commands"]["clear"]["payload"]["properties"]
        members["any"] = {"type": "null"}
        members["code"] = {"enum": [f"code-{at}" for at in range(20)]}

    findings = _compared(tmp_path, edit, base).findings
    found = {each.message: each.old_location for each in findings if each.document}
    any_place = found['the new version refuses a request at /any: type is "null"']
    assert any_place is not None
    assert any_place.pointer == "/commands/clear/payload/properties/any"
    assert "the new version refuses a request at /code: enum does not allow it" in found


def test_deprecated_member_of_a_reply_is_gone(tmp_path: Path) -> None:
    """A required member that was deprecated may go from replies, with a warning."""

    def base(contract: Contract) -> None:
        contract["$defs"]["Order"]["properties"]["address"] = {
            "type": "object",
            "required": ["zip"],
            "properties": {"zip": {"type": "string", "deprecated": True}},
        }

    def edit(contract: Contract) -> None:
        contract["$defs"]["Order"]["properties"]["address"] = {"type": "object"}

    comparison = _compared(tmp_path, edit, base)
    assert _found(comparison, "member-removed-deprecated").rule.level is Level.WARNING
    assert all(each.rule.id != "reply-widened" for each in comparison.findings)


@pytest.mark.parametrize("is_deprecated", [True, False])
def test_member_inside_a_member_is_gone(tmp_path: Path, *, is_deprecated: bool) -> None:
    """What counts is whether the member itself was deprecated, however deep it is."""
    address = {
        "type": "object",
        "properties": {"zip": {"type": "string", "deprecated": is_deprecated}},
        "additionalProperties": False,
    }

    def base(contract: Contract) -> None:
        _place(contract)["payload"]["properties"]["address"] = address

    def edit(contract: Contract) -> None:
        _place(contract)["payload"]["properties"]["address"]["properties"] = {}

    rule = "member-removed-deprecated" if is_deprecated else "request-narrowed"
    _found(_compared(tmp_path, edit, base), rule)


@pytest.mark.parametrize("keyword", ["required", "dependentRequired"])
def test_deprecated_member_is_required(keyword: str, tmp_path: Path) -> None:
    """A deprecated member that requests need from now on is not a member that is gone."""
    added = ["item", "gift"] if keyword == "required" else {"item": ["gift"]}
    comparison = _compared(tmp_path, lambda c: _place(c)["payload"].update({keyword: added}))
    found = _found(comparison, "request-narrowed")
    assert found.message == 'the new version refuses a request without the member "gift"'
    assert not comparison.is_compatible


def test_deprecated_member_is_false(tmp_path: Path) -> None:
    """A member with the schema `false` is gone."""

    def edit(contract: Contract) -> None:
        _place(contract)["payload"]["properties"]["gift"] = False

    assert _found(_compared(tmp_path, edit), "member-removed-deprecated")


def test_paths_to_a_shared_schema(tmp_path: Path) -> None:
    """A schema at several places of messages is one finding."""

    def base(contract: Contract) -> None:
        contract["queries"]["count"]["result"] = {
            "type": "object",
            "properties": {"first": {"$ref": "#/$defs/Order"}},
        }

    comparison = _compared(tmp_path, lambda c: _status(c).append("lost"), base)
    [found] = [each for each in comparison.findings if each.rule.id == "reply-widened"]
    assert found.used_by == ("place", "order.get", "count")


def test_version_is_the_last_error(tmp_path: Path) -> None:
    """What breaks comes before the version that it asks for."""
    comparison = _compared(tmp_path, lambda c: c["commands"].pop("clear"))
    errors = [each.rule.id for each in comparison.findings if each.rule.level is Level.ERROR]
    assert errors == ["operation-removed", "version-not-raised"]


def _value(number: float) -> Any:
    return {"type": "object", "properties": {"value": {"type": "number", "default": number}}}


@pytest.mark.parametrize(
    ("old", "new", "is_changed"),
    [
        ({"anyOf": [_value(1), {"type": "null"}]}, {"anyOf": [_value(2), {"type": "null"}]}, True),
        ({"oneOf": [{"type": "null"}, _value(1)]}, {"oneOf": [_value(2), {"type": "null"}]}, True),
        ({"oneOf": [{"type": "null"}, _value(1)]}, {"oneOf": [_value(1), {"type": "null"}]}, False),
        ({"allOf": [_value(1)]}, {"allOf": [{**_value(2), "minProperties": 1}]}, True),
        ({"additionalProperties": _value(1)}, {"additionalProperties": _value(2)}, True),
        ({"prefixItems": [True, _value(1)]}, {"prefixItems": [True, _value(2)]}, True),
        (_value(1), _value(1.0), False),
        ({"default": True}, {"default": 1}, True),
    ],
)
def test_defaults_inside_schemas(old: Any, new: Any, tmp_path: Path, *, is_changed: bool) -> None:
    """Defaults are compared inside every keyword; the order of branches does not matter."""

    def set_to(schema: Any) -> Edit:
        return lambda c: c["commands"]["clear"].update(payload=schema)

    comparison = _compared(tmp_path, set_to(new), set_to(old))
    assert ("default-changed" in {each.rule.id for each in comparison.findings}) is is_changed


def test_defaults_are_compared_everywhere(tmp_path: Path) -> None:
    """Defaults are compared in members, items and recursive schemas, each once."""

    def base(contract: Contract) -> None:
        node = {
            "type": "object",
            "properties": {
                "next": {"$ref": "#/$defs/Node"},
                "any": True,
                "none": {"description": "Anything."},
                "list": {"type": "array", "items": {"type": "integer", "default": 1}},
            },
        }
        contract["$defs"]["Node"] = node
        contract["commands"]["clear"]["payload"] = {"$ref": "#/$defs/Node"}

    def edit(contract: Contract) -> None:
        members = contract["$defs"]["Node"]["properties"]
        members["list"]["items"]["default"] = 2
        members["none"]["default"] = 3

    found = _compared(tmp_path, edit, base).findings
    assert [each.message for each in found if each.rule.id == "default-changed"] == [
        "the default was 1 and is 2",
        "the default was none and is 3",
    ]


def _list(contract: Contract) -> Any:
    return contract["queries"]["list"]


def _paged(contract: Contract) -> None:
    contract["queries"]["list"] = {
        "description": "List.",
        "page": True,
        "result": {"$ref": "#/$defs/Item"},
    }
    contract["$defs"]["Item"] = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("edit", "rules"),
    [
        (lambda c: c["$defs"]["Item"]["properties"].update(name=True), {"reply-widened"}),
        (lambda c: c["$defs"]["Item"].update(required=["name"]), {"reply-narrowed"}),
        (lambda c: _list(c).pop("page"), {"reply-widened", "payload-removed"}),
        (lambda c: _list(c).update(parameters={"type": "object"}), {"request-widened"}),
        (
            lambda c: _list(c).update(parameters={"type": "object", "required": ["name"]}),
            {"request-narrowed"},
        ),
    ],
)
def test_list_queries(edit: Edit, rules: set[str], tmp_path: Path) -> None:
    """The parameters and the result of a list query are compared with what `page` adds to them."""
    comparison = _compared(tmp_path, edit, _paged)
    found = {each.rule.id for each in comparison.findings} - {"version-not-raised"}
    assert rules <= found
    assert bool(rules) is bool(found)


def test_page_is_added(tmp_path: Path) -> None:
    """A query that becomes a list query answers what old clients do not expect."""

    def base(contract: Contract) -> None:
        _paged(contract)
        del _list(contract)["page"]

    comparison = _compared(tmp_path, lambda c: _list(c).update(page=True), base)
    assert not comparison.is_compatible
    assert _found(comparison, "payload-added").used_by == ("list",)


def test_key_of_an_aggregate(tmp_path: Path) -> None:
    """Keys with another schema break clients, with a key that proves it; a description does not."""

    def edit(contract: Contract) -> None:
        _order(contract)["key"] = {"type": "string", "format": "uuid"}

    found = _found(_compared(tmp_path, edit), "key-narrowed")
    assert found.document is not None
    assert isinstance(found.document.value, str)
    assert found.used_by == ("order",)


@pytest.mark.parametrize(
    "key", [{"type": "string"}, {"type": "string", "minLength": 1, "maxLength": 256}, None]
)
def test_keys_that_all_messages_may_have(key: Any, tmp_path: Path) -> None:
    """The limits of keys in all messages are not a change of the contract."""

    def edit(contract: Contract) -> None:
        if key is None:
            del _order(contract)["key"]
        else:
            _order(contract)["key"] = key

    comparison = _compared(tmp_path, edit, lambda c: _order(c).update(key={"type": "string"}))
    assert {each.rule.id for each in comparison.findings} <= {"version-not-raised"}


def test_defaults_of_the_runtime() -> None:
    """What counts where a contract says nothing is what the runtime does."""
    key = AggregateId.model_json_schema()["properties"]["key"]
    assert {name: key[name] for name in ANY_KEY} == ANY_KEY
    assert operations.DEFAULT_TIMEOUT == DEFAULT_TIMEOUT
    for rate in (0.1, 10.0):
        limit = RateLimit(max_requests_per_second=rate)
        expected = (rate, limit.capacity)
        assert operations.requests_of(ir.RateLimit(rate, None)) == expected


def test_limits_and_timeouts_without_a_value(tmp_path: Path) -> None:
    """What a contract does not say counts as the default of the runtime."""

    def edit(contract: Contract) -> None:
        _place(contract)["rateLimit"]["burst"] = 15
        contract["commands"]["clear"]["timeout"] = 2

    comparison = _compared(tmp_path, edit)
    assert _found(comparison, "rate-limit-lowered").message == (
        "place had 10 requests per second, 20 at once and has 10 requests per second, 15 at once"
    )
    assert _found(comparison, "timeout-changed").message == (
        "the timeout of clear was the default of 5 s and is 2 s"
    )


def test_aggregates_are_told_apart(tmp_path: Path) -> None:
    """Equal names of other aggregates do not hide what is gone, such as their standard queries."""

    def base(contract: Contract) -> None:
        shelf = {"state": {"type": "object"}, "queries": {"get": {"description": "Show."}}}
        contract["aggregates"]["shelf"] = shelf

    comparison = _compared(tmp_path, lambda c: c["aggregates"].pop("shelf"), base)
    assert _found(comparison, "operation-removed").used_by == ("shelf.get",)
    rules = {each.rule.id for each in comparison.findings}
    assert rules == {"operation-removed", "version-not-raised"}


def test_operation_gets_an_aggregate(tmp_path: Path) -> None:
    """An operation that gets a key has another subject."""
    found = _found(_compared(tmp_path, _moved), "operation-moved")
    assert found.message == (
        "clear is called at shop.command.order.clear and no more at shop.command.clear"
    )


def test_shared_schemas(tmp_path: Path) -> None:
    """A change of a library is found in each contract that uses it, at its place in the library."""
    contract = {
        "service": "shop",
        "version": "1.0.0",
        "description": "Sells.",
        "queries": {"find": {"description": "Find.", "result": {"$ref": "../units/weight.json"}}},
    }
    contracts = []
    for name, types in (("old", ["integer"]), ("new", ["integer", "null"])):
        for service in ("shop", "depot"):
            (tmp_path / name / service).mkdir(parents=True)
            text = json.dumps({**contract, "service": service})
            (tmp_path / name / service / "service.json").write_text(text)
        (tmp_path / name / "units").mkdir()
        (tmp_path / name / "units" / "weight.json").write_text(json.dumps({"type": types}))
        contracts.append(read_contracts([tmp_path / name]))
    for comparison in compare_all(*contracts):
        found = _found(comparison, "reply-widened")
        assert found.location.file.endswith("new/units/weight.json")
        assert found.old_location is not None
        assert found.old_location.file.endswith("old/units/weight.json")


def test_change_without_findings_needs_a_patch(tmp_path: Path) -> None:
    """Another name of a definition concerns nobody, but services show another digest."""

    def edit(contract: Contract) -> None:
        contract["$defs"]["Purchase"] = contract["$defs"].pop("Order")
        _order(contract)["state"] = _place(contract)["result"] = {"$ref": "#/$defs/Purchase"}
        _order(contract)["events"]["placed"]["data"] = {"$ref": "#/$defs/Purchase"}

    found = _found(_compared(tmp_path, edit), "version-not-raised")
    assert found.message == (
        "other changes, such as names of schemas, need version 1.2.1 or higher, and it is 1.2.0"
    )


def test_services_are_matched_by_name(tmp_path: Path) -> None:
    """A service that is gone breaks its clients; a new one breaks nobody."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        contract = {**_CONTRACT, "service": name}
        (tmp_path / name / "service.json").write_text(json.dumps(contract))
    one, two = (read(tmp_path / name) for name in ("one", "two"))
    gone, added = compare_all([one], [two])
    assert (gone.service, gone.is_compatible) == ("one", False)
    assert [each.rule.id for each in gone.findings] == ["service-removed"]
    assert (added.service, added.is_compatible) == ("two", True)
    assert [each.rule.id for each in added.findings] == ["service-added"]


def test_version_beside_another(tmp_path: Path) -> None:
    """A next version with a name of its own breaks nobody while the one before it stays."""
    found = []
    for name, version in (("shop", "1.2.0"), ("shop-v2", "2.0.0")):
        (tmp_path / name).mkdir()
        contract = {**_CONTRACT, "service": name, "version": version}
        (tmp_path / name / "service.json").write_text(json.dumps(contract))
        found.append(read(tmp_path / name))
    same, added = compare_all(found[:1], found)
    assert (same.service, same.findings) == ("shop", ())
    assert [each.rule.id for each in added.findings] == ["service-added"]
    assert added.is_compatible


@pytest.mark.parametrize(
    ("old", "new", "is_enough"),
    [
        ("1.2.0", "2.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0-rc.1", True),
        ("2.0.0-rc.1", "2.0.0-rc.2", True),
        ("0.1.0", "0.2.0", True),
        ("0.1.0", "0.1.1", False),
        ("1.2.0+a", "1.2.0+b", False),
    ],
)
def test_breaking_changes_need_a_major_version(
    old: str, new: str, tmp_path: Path, *, is_enough: bool
) -> None:
    """A change that breaks needs a higher major version; before 1.0.0 a higher minor one."""

    def edit(contract: Contract) -> None:
        contract["version"] = new
        _status(contract).append("lost")

    comparison = _compared(tmp_path, edit, lambda c: c.update(version=old))
    rules = {each.rule.id for each in comparison.findings}
    assert ("version-not-raised" not in rules) is is_enough


def test_other_changes_need_a_patch(tmp_path: Path) -> None:
    """A change that concerns nobody needs a patch all the same, since the digest changes."""

    def edit(contract: Contract) -> None:
        contract["aggregates"]["order"]["commands"]["place"]["rateLimit"]["burst"] = 99

    found = _found(_compared(tmp_path, edit), "version-not-raised")
    assert found.message == "minor changes need version 1.3.0 or higher, and it is 1.2.0"


def test_order_of_versions() -> None:
    """Versions have the order of semver.org."""
    texts = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    versions = [parsed(text) for text in [*texts, "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10.0"]]
    assert versions == sorted(versions)
    assert parsed("1.2.3+x") == Version((1, 2, 3), is_release=True, pre=())
    assert raised(parsed("1.2.3"), parsed("1.2.3+x")) == "none"


def test_open_members_are_one_finding(tmp_path: Path) -> None:
    """That a sender is open now is reported once, besides the members that it declares."""

    def use(document: Contract, *names: str, is_open: bool) -> None:
        members = {name: {"type": "integer"} for name in names}
        data = {"type": "object", "properties": members, "additionalProperties": is_open}
        document["events"]["opened"]["data"] = data

    comparison = _compared(
        tmp_path,
        lambda new: use(new, "a", "b", is_open=True),
        lambda old: use(old, "a", is_open=False),
    )
    found = [each for each in comparison.findings if each.rule.id == "event-widened"]
    declared = [each for each in found if each.document and "b" in str(each.document.value)]
    assert len(found) == 2
    assert len(declared) == 1
