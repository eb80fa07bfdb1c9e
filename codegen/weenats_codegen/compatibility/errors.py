"""Declared errors of two versions of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.compatibility.findings import Finding
from weenats_codegen.compatibility.messages import DETAILS, MessageSchemas
from weenats_codegen.compatibility.rules import RULES
from weenats_codegen.parser.diagnostics import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.ir.contract import Contract


def compare_errors(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what differs between the errors that both versions declare.

    Errors that only one of them declares are findings of the operations that raise them.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    after = {error.name: error for error in new.errors}
    for before in old.errors:
        error = after.get(before.name)
        if error is None:
            continue
        name = error.name
        place, old_place = (Location(each.file).child("errors", name) for each in (new, old))
        if before.code != error.code:
            message = f"the code of {name} was {before.code} and is {error.code}"
            places = (place.child("code"), old_place.child("code"))
            yield Finding(RULES["error-code-changed"], message, *places, (name,))
        if before.details and error.details:
            yield from schemas.compare(DETAILS, before.details, error.details, name)
        elif before.details:
            message = f"the error {name} has no details any more"
            yield Finding(RULES["details-removed"], message, place, old_place, (name,))
        elif error.details:
            message = f"the error {name} has details, and had none"
            yield Finding(RULES["details-added"], message, place, old_place, (name,))
