"""Keys of the aggregates of two versions of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.compatibility.findings import Finding
    from weenats_codegen.compatibility.messages import MessageSchemas
    from weenats_codegen.ir.contract import Contract


def compare_keys(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what differs between the keys of the aggregates that both versions have.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    after = {aggregate.name: aggregate for aggregate in new.aggregates}
    for before in old.aggregates:
        aggregate = after.get(before.name)
        if aggregate is not None and (before.key or aggregate.key):
            yield from schemas.compare_keys(before.key, aggregate.key, aggregate.name)
