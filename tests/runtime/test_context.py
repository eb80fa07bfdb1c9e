"""RequestContext: slots, hidden values and copies."""

from __future__ import annotations

import pytest

from testkit.contexts import Refusing, make_context, make_served_request
from testkit.probe import RUN, THING, Run
from weenats.context import Key, MessageContext, RequestContext
from weenats.errors import InvalidArgumentError
from weenats.protocol.headers import Headers
from weenats.protocol.messages import AggregateId
from weenats.telemetry.propagation import propagated_headers

TENANT = Key[str]("tenant")
LIMIT = Key[int]("limit")


def test_slots_are_identified_by_key_object() -> None:
    """A value is found under its own key only, even if another key has the same name."""
    context = make_context()
    assert TENANT not in context
    context[TENANT] = "north"
    context[LIMIT] = 5
    assert (context[TENANT], context[LIMIT]) == ("north", 5)
    assert Key[str]("tenant") not in context
    assert repr(TENANT) == "Key('tenant')"


def test_empty_slot_raises_key_error() -> None:
    """Reading an unset slot raises KeyError with the name of the key."""
    context = make_context()
    for _ in range(2):
        with pytest.raises(KeyError, match="tenant"):
            context[TENANT]
        context[LIMIT] = 5


def test_contexts_do_not_share_slots() -> None:
    """Two requests never see each other's values."""
    first, second = make_context(), make_context()
    first[TENANT] = "north"
    assert TENANT not in second


def test_invalid_payload_raises_on_access() -> None:
    """Key and operation are available; only reading the payload raises."""
    error = InvalidArgumentError("bad")
    context = make_context(payload=None, received=Refusing(error))
    assert (context.key, context.operation) == ("k-1", RUN)
    with pytest.raises(InvalidArgumentError) as raised:
        context.payload  # noqa: B018 - reading it is the test
    assert raised.value is error


def test_replace_returns_a_copy() -> None:
    """The copy has the new values and all others; the original is unchanged."""
    context = make_context()
    changed = context.replace(key="k-2", payload=Run(action="stop"), correlation_id="c")
    assert (changed.key, changed.correlation_id) == ("k-2", "c")
    assert changed.payload == Run(action="stop")
    assert changed.message_id == context.message_id
    assert (context.key, context.payload) == ("k-1", Run(action="go"))
    assert type(changed) is RequestContext


@pytest.mark.parametrize("filled", [False, True])
def test_copy_has_its_own_slots(filled: bool) -> None:
    """Values set on the copy do not appear in the original."""
    context = make_context()
    if filled:
        context[LIMIT] = 5
    changed = context.replace(key="k-2")
    changed[TENANT] = "north"
    assert TENANT not in context
    assert (LIMIT in changed) is filled


def test_replace_rejects_unknown_names() -> None:
    """A misspelt name raises AttributeError."""
    with pytest.raises(AttributeError):
        make_context().replace(correlationid="c")


def test_repr_hides_token_and_payload() -> None:
    """The repr has subject and message id only, so a context can be logged."""
    context = make_context(
        token="s3cret",
        payload=Run(action="s3cret"),
        key="s3cret",
        metadata_context={"password": "s3cret"},
    )
    assert repr(context) == f"<RequestContext client {RUN.subject} {context.message_id}>"


def test_aggregate_id_has_the_contract_type() -> None:
    """aggregate_id has the contract's aggregate type and the request's key."""
    assert make_context(key="k-9").aggregate_id == AggregateId(type=THING.name, key="k-9")


def test_remaining_time_is_never_negative() -> None:
    """The remaining time is None without a deadline and 0 after it."""
    assert make_context().remaining is None
    assert make_context(deadline=0.0).remaining == 0.0


def test_only_trace_headers_are_propagated() -> None:
    """Only W3C headers are propagated, in any case of letters."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    lines = ["NATS/1.0", f"TraceParent: {parent}", "X-Tenant: north", "Baggage: a=1", "", ""]
    block = "\r\n".join(lines).encode()
    context = MessageContext(message_id="m", correlation_id="c", headers=Headers(block))
    assert propagated_headers(context) == {"traceparent": parent, "baggage": "a=1"}
    assert propagated_headers(MessageContext(message_id="m", correlation_id="c")) == {}


def test_headers_of_a_request_are_created_on_demand() -> None:
    """The headers are those of the message, the same object each time, until they are replaced."""
    job, _ = make_served_request(headers=b"NATS/1.0\r\nX-Tenant: north\r\n\r\n")
    context = make_context(side="server", headers=None, work=job)
    copied = context.replace()
    assert context.headers["x-tenant"] == copied.headers["x-tenant"] == "north"
    assert context.headers is context.headers
    context.headers = {}
    assert (dict(context.headers), dict(copied.headers)) == ({}, {"x-tenant": "north"})
    assert dict(make_context(side="server", headers=None).headers) == {}


def test_replace_copies_every_slot() -> None:
    """Every slot is copied, also new ones; the values of keys are a separate dictionary."""
    slots = [*MessageContext.__slots__, *RequestContext.__slots__]
    context = make_context()
    context[Key[int]("n")] = 1
    for slot in slots:
        if slot != "_values":
            setattr(context, slot, object())
    changed = context.replace()
    assert type(changed) is RequestContext
    for slot in slots:
        same = getattr(changed, slot) is getattr(context, slot)
        assert same is (slot != "_values"), slot
    assert changed._values == context._values
