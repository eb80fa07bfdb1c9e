"""The verb `explain`: what holds for each operation of a service, and who said so."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from weenats_codegen.cli.errors import VerbError
from weenats_codegen.cli.output import emit, plain
from weenats_codegen.cli.targets import builder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from weenats.service.explain import OperationPolicy, Setting


def explain(target: str, operation: str | None, *, as_json: bool) -> None:
    """Show what MODULE:BUILDER makes of its operations, or of one of them."""
    policies = builder_of(target).explain()
    if operation is not None:
        known = ", ".join(each.operation for each in policies)
        policies = tuple(each for each in policies if each.operation == operation)
        if not policies:
            raise VerbError(f"there is no operation {operation}; known are {known}")
    emit([asdict(each) for each in policies], as_json=as_json, person=lambda: drawn(policies))


def drawn(policies: "Sequence[OperationPolicy]") -> "Table":
    """The operations one below the other, each with its settings."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("operation / setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True, style="dim")
    for policy in policies:
        table.add_row(f"[bold]{plain(policy.operation)}[/]", plain(policy.subject), policy.kind)
        for setting in policy.settings:
            table.add_row(f"  {setting.name}", plain(told(setting)), setting.source)
    return table


def told(setting: "Setting") -> str:
    """A value as a person reads it."""
    value = setting.value
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    is_duration = setting.name.endswith(("time", "timeout"))
    return f"{value:g} s" if is_duration and isinstance(value, int | float) else str(value)
