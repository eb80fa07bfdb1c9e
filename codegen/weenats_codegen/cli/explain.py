"""The command `explain`: the effective settings of each operation, and where they come from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import emit, plain
from weenats_codegen.cli.targets import builder_of

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.service.explain import OperationPolicy, Setting


def explain(target: str, operation: str | None, *, as_json: bool) -> None:
    """Print the settings of the operations of MODULE:BUILDER, or of one of them.

    Raises:
        CliError: There is no such target or operation.
    """
    policies = builder_of(target).explain()
    if operation is not None:
        known = ", ".join(each.operation for each in policies)
        policies = tuple(each for each in policies if each.operation == operation)
        if not policies:
            raise CliError(f"there is no operation {operation}; known are {known}")
    data = [asdict(each) for each in policies]
    emit(data, as_json=as_json, render=lambda: _rendered(policies))


def _rendered(policies: Sequence["OperationPolicy"]) -> "Table":
    """Return the operations one below the other, each with its settings."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("operation / setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True, style="dim")
    for policy in policies:
        table.add_row(f"[bold]{plain(policy.operation)}[/]", plain(policy.subject), policy.kind)
        for setting in policy.settings:
            table.add_row(f"  {setting.name}", plain(_value(setting)), setting.source)
    return table


def _value(setting: "Setting") -> str:
    """Return a value for people."""
    value = setting.value
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    is_duration = setting.name.endswith(("time", "timeout"))
    return f"{value:g} s" if is_duration and isinstance(value, int | float) else str(value)
