"""The rules: every kind of finding, by its identifier."""

from __future__ import annotations

from typing import Final

from weenats_codegen.compatibility.findings import Change, Level, Party, Rule

_CLIENT, _SERVICE = Party.OLD_CLIENT, Party.OLD_SERVICE
_CONSUMER, _PUBLISHER, _NOBODY = Party.EVENT_CONSUMER, Party.PUBLISHER, Party.NOBODY
_STORED = Party.STORED_EVENT


def _error(name: str, breaks: Party, text: str) -> Rule:
    return Rule(name, Level.ERROR, breaks, Change.MAJOR, text)


def _warning(name: str, breaks: Party, text: str, change: Change = Change.MINOR) -> Rule:
    return Rule(name, Level.WARNING, breaks, change, text)


def _note(name: str, breaks: Party, text: str) -> Rule:
    return Rule(name, Level.NOTE, breaks, Change.MINOR, text)


_ALL: Final = (
    # Schemas
    _error("request-narrowed", _CLIENT, "The new service refuses a request that old clients send."),
    _note("request-widened", _SERVICE, "An old service refuses a request that new clients send."),
    _error("reply-widened", _CLIENT, "Old clients refuse a reply of the new service."),
    _note("reply-narrowed", _SERVICE, "New clients refuse a reply of an old service."),
    _warning("kept-reply-narrowed", _CLIENT, "The new service refuses a reply that it has kept."),
    _error("event-widened", _CONSUMER, "Old consumers refuse an event of the new service."),
    _note("event-narrowed", _PUBLISHER, "New consumers refuse an event that an old service sent."),
    _error(
        "details-widened", _CLIENT, "Old clients refuse details of an error of the new service."
    ),
    _note(
        "details-narrowed", _SERVICE, "New clients refuse details of an error of an old service."
    ),
    _error("key-narrowed", _CLIENT, "The new service refuses a key that old clients use."),
    _warning(
        "key-widened", _CONSUMER, "Old clients and consumers refuse a key of the new service."
    ),
    _warning(
        "member-removed-deprecated",
        _CLIENT,
        "A deprecated member is gone, or may be missing in replies.",
        Change.MAJOR,
    ),
    _warning("default-changed", _CLIENT, "Old clients have another default than the new service."),
    _warning("not-known", _NOBODY, "It is not known whether the new schema is compatible."),
    # The service and its operations
    _error("service-removed", _CLIENT, "The service is gone, or has another name."),
    _note("service-added", _NOBODY, "The service is new."),
    _error("operation-removed", _CLIENT, "An operation is gone that was not deprecated."),
    _warning(
        "operation-removed-deprecated", _CLIENT, "A deprecated operation is gone.", Change.MAJOR
    ),
    _note("operation-added", _SERVICE, "An operation is new."),
    _error("operation-moved", _CLIENT, "An operation has another subject."),
    _error("payload-added", _CLIENT, "An operation needs a payload that old clients do not send."),
    _note("payload-removed", _SERVICE, "An operation has no payload any more."),
    _error("result-removed", _CLIENT, "An operation has no result any more."),
    _note("result-added", _SERVICE, "An operation has a result."),
    _error("idempotency-lost", _CLIENT, "Old clients retry what must not be done twice."),
    _note("idempotency-gained", _SERVICE, "An operation may be retried."),
    _error("large-removed", _CLIENT, "Old clients send what does not fit into a message."),
    _error("large-lowered", _CLIENT, "Old clients send, or expect, what is larger than allowed."),
    _note("large-raised", _SERVICE, "An operation allows larger payloads and results."),
    _warning("once-shortened", _CLIENT, "Old clients may repeat a call when its reply is gone."),
    _note("once-prolonged", _NOBODY, "The replies of an operation are kept longer."),
    _error(
        "authentication-required",
        _CLIENT,
        "An operation requires a token, or does if the service says so.",
    ),
    _error("scope-required", _CLIENT, "An operation requires another scope."),
    _note("authentication-relaxed", _SERVICE, "An operation requires less of tokens."),
    _warning("timeout-raised", _CLIENT, "Old clients give up before the new timeout."),
    _note("timeout-changed", _NOBODY, "An operation has another default timeout."),
    _warning("rate-limit-lowered", _CLIENT, "The new service refuses what exceeds a lower limit."),
    _note("rate-limit-changed", _NOBODY, "An operation has another rate limit."),
    # Errors
    _warning("error-added", _CLIENT, "An operation raises an error that old clients do not know."),
    _note("error-removed", _NOBODY, "An operation does not raise an error any more."),
    _error("error-code-changed", _CLIENT, "An error has another code."),
    _error("details-removed", _CLIENT, "An error has no details any more."),
    _note("details-added", _SERVICE, "An error has details."),
    # Events
    _error("event-removed", _CONSUMER, "An event is gone that was not deprecated."),
    _warning("event-removed-deprecated", _CONSUMER, "A deprecated event is gone.", Change.MAJOR),
    _note("event-added", _PUBLISHER, "An event is new."),
    _error("event-moved", _CONSUMER, "An event has another subject."),
    _error("event-not-durable", _CONSUMER, "A stream does not keep an event any more."),
    _error("event-stream-changed", _CONSUMER, "An event is kept by another stream."),
    _error("partitions-changed", _CONSUMER, "The keys of events move to other partitions."),
    _warning(
        "event-version-raised", _CONSUMER, "Old consumers refuse an event; update them first."
    ),
    _note("event-durable", _PUBLISHER, "A stream keeps an event; publishing needs it."),
    _warning("event-kept-shorter", _CONSUMER, "A stream removes events earlier."),
    _note("stream-changed", _NOBODY, "A stream has other settings."),
    _warning("event-not-emitted", _CONSUMER, "A command does not publish an event any more."),
    _note("event-emitted", _NOBODY, "A command publishes another event."),
    # Aggregates that are kept in streams
    _error("stored-event-narrowed", _STORED, "The new service refuses an event that was stored."),
    _error("stored-event-removed", _STORED, "The new service does not know a stored event."),
    _warning("stored-event-changed", _STORED, "An older version of data is read in another way."),
    _error("store-changed", _STORED, "An aggregate moves into a stream, or out of it."),
    # The version
    _error("version-not-raised", _NOBODY, "The version does not rise as the changes demand."),
    _error("version-lowered", _NOBODY, "The version is lower than the old one."),
)

RULES: Final = {rule.id: rule for rule in _ALL}
"""Every rule by its identifier."""
VERSION_RULES: Final = frozenset({"version-not-raised", "version-lowered"})
"""The rules about the version, which break nobody by themselves."""
