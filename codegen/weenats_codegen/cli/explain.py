"""The command `explain`: the effective settings of each operation, and where they come from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import emit, plain
from weenats_codegen.cli.targets import build, builder_of
from weenats_codegen.naming import labels_meant
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.service.explain import OperationPolicy, Setting


def explain(target: str, operation: str | None, *, as_json: bool) -> None:
    """Print the settings of the operations of MODULE:BUILDER, or of one of them.

    Raises:
        CliError: There is no such target or operation; or, when the settings are printed, they
            contradict each other.
    """
    builder = builder_of(target)
    policies = builder.explain()
    if operation is not None:
        known = [each.operation for each in policies]
        meant = labels_meant(operation, known)
        policies = tuple(each for each in policies if each.operation in meant)
        if not policies:
            hint = did_you_mean(operation, known)
            raise CliError(f"there is no operation {operation}; {hint}")
    data = [asdict(each) for each in policies]
    emit(data, as_json=as_json, render=lambda: _rendered(policies))
    build(builder)


def _rendered(policies: Sequence["OperationPolicy"]) -> "Table":
    """Return the settings that all operations share, then each operation with its others."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("operation / setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True, style="dim")
    common = _common(policies)
    if common:
        table.add_row("[bold]all operations[/]")
        _add_settings(table, common)
    for policy in policies:
        table.add_row(f"[bold]{plain(policy.operation)}[/]", plain(policy.subject), policy.kind)
        _add_settings(table, [each for each in policy.settings if each not in common])
    return table


def _common(policies: Sequence["OperationPolicy"]) -> list["Setting"]:
    """Return the settings that all of several operations have."""
    if len(policies) == 1:
        return []
    first, *others = policies
    return [each for each in first.settings if all(each in other.settings for other in others)]


def _add_settings(table: "Table", settings: Sequence["Setting"]) -> None:
    for each in settings:
        table.add_row(f"  {each.name}", plain(_value(each)), each.source)


def _value(setting: "Setting") -> str:
    """Return a value for people."""
    value = setting.value
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    is_duration = setting.name.endswith(("time", "timeout", "once"))
    return f"{value:g} s" if is_duration and isinstance(value, int | float) else str(value)
