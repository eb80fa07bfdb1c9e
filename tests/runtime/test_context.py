"""What a context holds, what it hides, and what a copy shares."""

from __future__ import annotations

import pytest

from testkit.contexts import make_context
from testkit.probe import CONTRACT, RUN, Run
from weenats.context import Key, MessageContext, RequestContext
from weenats.errors import InvalidArgumentError
from weenats.protocol.headers import Headers
from weenats.protocol.messages import AggregateId
from weenats.telemetry.propagation import propagated_headers

TENANT = Key[str]("tenant")
LIMIT = Key[int]("limit")


def test_slots_are_keys_not_names() -> None:
    """What is put under a key is found under this key alone, however another is named."""
    context = make_context()
    assert TENANT not in context
    context[TENANT] = "north"
    context[LIMIT] = 5
    assert (context[TENANT], context[LIMIT]) == ("north", 5)
    assert Key[str]("tenant") not in context
    assert repr(TENANT) == "Key('tenant')"


def test_an_empty_slot_is_a_key_error() -> None:
    """Reading what nobody put there names the key, before and after other slots are filled."""
    context = make_context()
    for _ in range(2):
        with pytest.raises(KeyError, match="tenant"):
            context[TENANT]
        context[LIMIT] = 5


def test_contexts_share_no_slots() -> None:
    """Two requests never see each other's values."""
    first, second = make_context(), make_context()
    first[TENANT] = "north"
    assert TENANT not in second


def test_an_invalid_payload_raises_when_it_is_read() -> None:
    """The envelope is there to judge the caller by; the payload's fault shows on touch only."""
    error = InvalidArgumentError("bad")
    context = make_context(payload=None, payload_error=error)
    assert (context.key, context.operation) == ("k-1", RUN)
    with pytest.raises(InvalidArgumentError) as raised:
        context.payload  # noqa: B018 - reading it is the test
    assert raised.value is error


def test_replace_returns_a_copy() -> None:
    """The copy has the new values and all others; the original is as it was."""
    context = make_context()
    changed = context.replace(key="k-2", payload=Run(action="stop"), correlation_id="c")
    assert (changed.key, changed.correlation_id) == ("k-2", "c")
    assert changed.payload == Run(action="stop")
    assert changed.message_id == context.message_id
    assert (context.key, context.payload) == ("k-1", Run(action="go"))
    assert type(changed) is RequestContext


@pytest.mark.parametrize("filled", [False, True])
def test_a_copy_has_slots_of_its_own(filled: bool) -> None:
    """What is put into the copy does not show in the original, whatever stood there before."""
    context = make_context()
    if filled:
        context[LIMIT] = 5
    changed = context.replace(key="k-2")
    changed[TENANT] = "north"
    assert TENANT not in context
    assert (LIMIT in changed) is filled


def test_unknown_values_cannot_be_replaced() -> None:
    """A misspelt name fails at once and is not carried along."""
    with pytest.raises(AttributeError):
        make_context().replace(correlationid="c")


def test_repr_shows_no_token_and_no_payload() -> None:
    """A context can be logged: subject and message id, nothing a caller said."""
    context = make_context(
        token="s3cret",
        payload=Run(action="s3cret"),
        key="s3cret",
        metadata_context={"password": "s3cret"},
    )
    assert repr(context) == f"<RequestContext client {RUN.subject} {context.message_id}>"


def test_the_aggregate_is_that_of_the_contract() -> None:
    """The identity is the contract's type and the request's key."""
    assert make_context(key="k-9").aggregate_id == AggregateId(type=CONTRACT.aggregate, key="k-9")


def test_what_remains_is_never_negative() -> None:
    """No deadline leaves None, one that has passed leaves nothing."""
    assert make_context().remaining is None
    assert make_context(deadline=0.0).remaining == 0.0


def test_the_trace_is_propagated_and_nothing_else() -> None:
    """Of the headers that came, those of W3C go on, however they were written."""
    block = b"NATS/1.0\r\nTraceParent: 00-ab\r\nX-Tenant: north\r\nBaggage: a=1\r\n\r\n"
    context = MessageContext(message_id="m", correlation_id="c", headers=Headers(block))
    assert propagated_headers(context) == {"traceparent": "00-ab", "baggage": "a=1"}
    assert propagated_headers(MessageContext(message_id="m", correlation_id="c")) == {}


def test_a_copy_has_everything_that_the_context_has() -> None:
    """Each slot, so that one that is new is not forgotten; values of keys are its own."""
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
