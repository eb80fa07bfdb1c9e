"""Older versions of the data of events: stored events stay readable."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from weenats_codegen.compatibility.budget import Allowance
from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.ir.previous import EventVersion, event_versions, resolved
from weenats_codegen.ir.streams import stream_of_events
from weenats_codegen.lint.stored import is_stored
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.walk import Entry, Node, entries, previous_versions

_REMEDY: Final = (
    "give the new member a `default`, name it in `renamed` or `removed`, or set `upcaster: true`"
    " and write the function"
)


def check_previous(contract: Node, bundle: Bundle) -> Iterator[Diagnostic]:
    """Yield the older versions of events of which the next one cannot be made.

    Args:
        contract: The content of service.yaml.
        bundle: Its schemas.
    """
    allowance = Allowance()
    streams = stream_of_events(contract)
    for event in entries(contract, "events"):
        nodes = previous_versions(event.node)
        if nodes and event.name not in streams and not _belongs_to_stored(contract, event):
            yield event.node.diagnostic(
                "has older versions, but it is not stored",
                "remove them: nobody reads them; or set `durable: true`",
                "previous",
            )
            continue
        for node, version in zip(
            nodes, event_versions(event.node, event.name, bundle), strict=True
        ):
            yield from _check(node, version, bundle, allowance)


def _belongs_to_stored(contract: Node, event: Entry) -> bool:
    return bool(event.aggregate) and is_stored(contract.get("aggregates", event.aggregate))


def _check(
    node: Node, version: EventVersion, bundle: Bundle, allowance: Allowance
) -> Iterator[Diagnostic]:
    if version.function:
        if version.renamed or node.get("removed").items:
            yield node.diagnostic(
                "has an upcaster, which makes the next version alone",
                "remove `renamed` and `removed`",
            )
        return
    problems = list(_check_names(node, version, bundle))
    yield from problems
    if problems or not {version.data, version.next} <= bundle.definitions.keys():
        return
    from weenats_codegen.compatibility.previous import unread  # noqa: PLC0415 - few need it

    found = unread(bundle, version, allowance)
    if found.reasons:
        reason = found.reasons[0]
        at = f" at /{'/'.join(map(str, reason.instance))}" if reason.instance else ""
        names = f" {', '.join(map(quoted, reason.names))}" if reason.names else ""
        yield node.diagnostic(
            f"version {version.number + 1} refuses stored data of version {version.number}{at}:"
            f" {reason.keyword}{names}",
            _REMEDY,
        )
    elif found.rest.holds is None:
        yield node.diagnostic(
            f"it is not known whether version {version.number + 1} accepts all stored data of"
            f" version {version.number}",
            "set `upcaster: true` and write the function",
        )


def _check_names(node: Node, version: EventVersion, bundle: Bundle) -> Iterator[Diagnostic]:
    """Yield the members that are renamed or removed and do not exist, and those that get lost."""
    old, new = (
        resolved(bundle, name).get("properties", {}) for name in (version.data, version.next)
    )
    removed = [item.value for item in node.get("removed").items]
    for name in (*version.renamed, *removed):
        if isinstance(name, str) and (not isinstance(old, dict) or name not in old):
            yield node.diagnostic(
                f"has no member {quoted(name)} to rename or remove", "name a member of its data"
            )
    for name in version.renamed.values():
        if not isinstance(new, dict) or name not in new:
            yield node.diagnostic(
                f"renames a member to {quoted(name)}, which the next version does not have",
                "name a member of the next version",
            )
    for name in version.renamed.keys() & set(removed):
        yield node.diagnostic(f"renames and removes {quoted(name)}", "name it in one of them")
    kept = [each for each in (old if isinstance(old, dict) else {}) if each not in removed]
    names = Counter(version.renamed.get(each, each) for each in kept)
    for name, count in names.items():
        if count > 1:
            yield node.diagnostic(
                f"makes {quoted(name)} of {count} members, of which one would be lost",
                "name the others in `removed`, or set `upcaster: true` and write the function",
            )
