"""Commands and queries of two versions of a contract."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.compatibility.findings import Finding
from weenats_codegen.compatibility.messages import KEPT, REPLY, REQUEST, MessageSchemas
from weenats_codegen.compatibility.places import operation_place, subject
from weenats_codegen.compatibility.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.ir.contract import Auth, Contract, Operation, RateLimit
    from weenats_codegen.parser.diagnostics import Location

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that clients wait if neither they nor the contract say how long."""


class _Pair(NamedTuple):
    """An operation in both versions."""

    old: Operation
    new: Operation
    old_place: Location
    place: Location

    def finding(self, rule: str, message: str, *steps: str) -> Finding:
        place, old_place = self.place.child(*steps), self.old_place.child(*steps)
        return Finding(RULES[rule], message, place, old_place, (self.new.label,))


def compare_operations(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what differs between the operations of two versions.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    before = {operation.label: operation for operation in old.operations}
    after = {operation.label: operation for operation in new.operations}
    for label, operation in after.items():
        if label not in before:
            place = operation_place(new, operation)
            message = f"{label} is new; an old service does not answer it"
            yield Finding(RULES["operation-added"], message, place, None, (label,))
    for label, operation in before.items():
        old_place = operation_place(old, operation)
        if label not in after:
            was = "-deprecated" if operation.deprecated else ""
            message = f"{label} is gone; {'it was' if was else 'it was not'} deprecated before"
            rule = RULES[f"operation-removed{was}"]
            place = old_place._replace(file=new.file)
            yield Finding(rule, message, place, old_place, (label,))
            continue
        pair = _Pair(operation, after[label], old_place, operation_place(new, after[label]))
        subjects = subject(old, pair.old), subject(new, pair.new)
        if subjects[0] != subjects[1]:
            message = f"{label} is called at {subjects[1]} and no more at {subjects[0]}"
            yield pair.finding("operation-moved", message)
        yield from _messages(pair, schemas)
        yield from _policies(pair)
        yield from _outcomes(pair)


def _messages(pair: _Pair, schemas: MessageSchemas) -> Iterator[Finding]:
    old, new, label = pair.old, pair.new, pair.new.label
    if old.payload and new.payload:
        yield from schemas.compare(REQUEST, old.payload, new.payload, label)
    elif new.payload:
        yield pair.finding("payload-added", f"{label} needs a payload, and had none")
    elif old.payload:
        yield pair.finding("payload-removed", f"{label} has no payload any more")
    results = [each.result.removeprefix("Entity[").removesuffix("]") for each in (old, new)]
    if results == ["None", "None"]:
        return
    if "None" not in results:
        yield from schemas.compare(REPLY, results[0], results[1], label)
        if _keeps_replies(old) and _keeps_replies(new):
            for finding in schemas.compare_stored(KEPT, results[0], results[1], label):
                hint = f"{finding.message}; a repeat of a call that had one gets INTERNAL"
                yield replace(finding, message=hint)
    elif results[0] == "None":
        yield pair.finding("result-added", f"{label} has a result, and had none")
    else:
        yield pair.finding("result-removed", f"{label} has no result any more")


def _keeps_replies(operation: Operation) -> bool:
    """Return whether repeats get the first reply, by `once` or from the stream of the aggregate."""
    return operation.once is not None or (operation.is_stored and bool(operation.emits))


def _policies(pair: _Pair) -> Iterator[Finding]:
    old, new, label = pair.old, pair.new, pair.new.label
    if old.may_be_retried != new.may_be_retried:
        if old.may_be_retried:
            what = "is not idempotent" if old.idempotent else "does not answer repeats (once)"
            message = f"{label} {what} any more, and old clients retry it"
            yield pair.finding("idempotency-lost", message)
        else:
            what = "is idempotent" if new.idempotent else "answers repeats (once)"
            yield pair.finding("idempotency-gained", f"{label} {what} now")
    elif old.once is not None and new.once is not None and old.once != new.once:
        rule = "once-shortened" if new.once < old.once else "once-prolonged"
        message = f"the replies of {label} were kept for {old.once} s and are for {new.once} s"
        yield pair.finding(rule, message, "once")
    yield from _large(pair, old.large, new.large)
    yield from _authentication(pair, old.auth, new.auth)
    if old.timeout != new.timeout:
        is_raised = (new.timeout or DEFAULT_TIMEOUT) > (old.timeout or DEFAULT_TIMEOUT)
        rule = "timeout-raised" if is_raised else "timeout-changed"
        message = (
            f"the timeout of {label} was {_seconds(old.timeout)} and is {_seconds(new.timeout)}"
        )
        yield pair.finding(rule, message, "timeout")
    yield from _rate_limit(pair, old.rate_limit, new.rate_limit)


def _large(pair: _Pair, old: int | None, new: int | None) -> Iterator[Finding]:
    label = pair.new.label
    if old is not None and new is None:
        yield pair.finding("large-removed", f"{label} is not large any more")
    elif old is not None and new is not None and new < old:
        message = f"{label} allowed {old} bytes and allows {new}"
        yield pair.finding("large-lowered", message, "maxBytes")
    elif new != old:
        yield pair.finding("large-raised", f"{label} allows {new} bytes")


def _seconds(timeout: float | None) -> str:
    return f"the default of {DEFAULT_TIMEOUT:g} s" if timeout is None else f"{timeout:g} s"


def _authentication(pair: _Pair, old: Auth | None, new: Auth | None) -> Iterator[Finding]:
    before, after = (None if each is None else each.required for each in (old, new))
    label = pair.new.label
    if after and not before:
        yield pair.finding("authentication-required", f"{label} requires a token", "auth")
    elif before is False and after is None:
        message = f"{label} requires a token if the service does, and required none"
        yield pair.finding("authentication-required", message, "auth")
    elif before and not after:
        message = f"{label} requires no token any more, unless the service does"
        yield pair.finding("authentication-relaxed", message, "auth")
    scopes = [set[str]() if each is None else {*each.scopes} for each in (old, new)]
    if added := sorted(scopes[1] - scopes[0]):
        message = f"{label} requires the scope {', '.join(added)}"
        yield pair.finding("scope-required", message, "auth", "scopes")
    elif before and after and scopes[0] != scopes[1]:
        removed = ", ".join(sorted(scopes[0] - scopes[1]))
        message = f"{label} does not require the scope {removed} any more"
        yield pair.finding("authentication-relaxed", message, "auth", "scopes")


def _rate_limit(pair: _Pair, old: RateLimit | None, new: RateLimit | None) -> Iterator[Finding]:
    if old == new:
        return
    before, after = (requests_of(each) for each in (old, new))
    is_lower = any(now < was for was, now in zip(before, after, strict=True))
    rule = "rate-limit-lowered" if is_lower else "rate-limit-changed"
    shown = [
        f"{rate:g} requests per second, {burst:g} at once" if limit else "no rate limit"
        for limit, (rate, burst) in ((old, before), (new, after))
    ]
    message = f"{pair.new.label} had {shown[0]} and has {shown[1]}"
    yield pair.finding(rule, message, "rateLimit")


def requests_of(limit: RateLimit | None) -> tuple[float, float]:
    """Return how many requests are admitted a second, and at once after a pause.

    Args:
        limit: The limit; None for none.
    """
    if limit is None:
        return math.inf, math.inf
    rate = limit.max_requests_per_second
    return rate, max(2 * rate, 1) if limit.burst is None else limit.burst


def _outcomes(pair: _Pair) -> Iterator[Finding]:
    label = pair.new.label
    errors = [{error.name for error in each.errors} for each in (pair.old, pair.new)]
    for name in sorted(errors[1] - errors[0]):
        message = f"{label} raises {name}, which old clients do not expect of it"
        yield pair.finding("error-added", message, "errors")
    for name in sorted(errors[0] - errors[1]):
        yield pair.finding("error-removed", f"{label} does not raise {name} any more", "errors")
    events = [{event.name for event in each.emits} for each in (pair.old, pair.new)]
    for name in sorted(events[0] - events[1]):
        yield pair.finding(
            "event-not-emitted", f"{label} does not publish {name} any more", "emits"
        )
    for name in sorted(events[1] - events[0]):
        yield pair.finding("event-emitted", f"{label} publishes {name}", "emits")
