"""The verbs that work on contracts: new, generate, check."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from weenats_codegen.cli.errors import VerbError
from weenats_codegen.cli.output import emit, warn

if TYPE_CHECKING:
    from rich.console import RenderableType

    from weenats_codegen.output.stubs import Gap


def new(name: str, root: Path, *, as_json: bool) -> None:
    """Write a contract folder to start from."""
    from weenats_codegen.loading import read
    from weenats_codegen.scaffold import scaffold

    written = [path.as_posix() for path in scaffold(name, root)]
    contract = read(root / "schemas" / name)

    def person() -> str:
        files = "\n".join(f"  {path}" for path in written)
        return (
            f"[green]wrote[/]\n{files}\n\nnext:\n"
            "  edit the contract: delete what you do not need, rename the rest\n"
            "  weenats generate\n"
            f"  fill in generated/{contract.package}/handlers.py\n"
            f"  weenats run {contract.package}.handlers:{contract.stub} --embedded\n"
            f"  add authentication and limits to generated/{contract.package}/app.py\n"
            f"  weenats run {contract.package}.app:builder"
        )

    emit({"written": written}, as_json=as_json, person=person)


def generate(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Write the package of every contract."""
    from weenats_codegen.generate import generate as generate_packages

    report = generate_packages(schemas, out)
    result = {
        "written": [path.as_posix() for path in report.written],
        "unchanged": [path.as_posix() for path in report.unchanged],
        "removed": [path.as_posix() for path in report.removed],
        "gaps": [asdict(gap) for gap in report.gaps],
    }

    def person() -> str:
        lines = [f"[green]wrote[/]    {path.as_posix()}" for path in report.written]
        lines += [f"[yellow]removed[/]  {path.as_posix()}" for path in report.removed]
        count = len(report.unchanged)
        if count:
            lines.append(f"{count} file{'s' * (count != 1)} unchanged")
        return "\n".join(lines)

    emit(result, as_json=as_json, person=person)
    _tell(report.gaps)


def check(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Compare what is there with what would be generated.

    Raises:
        VerbError: they differ, or handlers lack what their contract asks for: a service of them
            does not start.
    """
    from weenats_codegen.generate import check as check_packages

    freshness = check_packages(schemas, out)
    diff = freshness.diff

    def person() -> "RenderableType":
        if not diff:
            return "[green]fresh[/]: everything generated is what its contract says"
        from rich.syntax import Syntax

        return Syntax(diff.rstrip("\n"), "diff", background_color="default", word_wrap=True)

    if diff and not as_json and not sys.stdout.isatty():
        sys.stdout.write(diff)  # for `patch` and for logs, as it is
    else:
        gaps = [asdict(gap) for gap in freshness.gaps]
        emit({"fresh": not diff, "diff": diff, "gaps": gaps}, as_json=as_json, person=person)
    _tell(freshness.gaps)
    if diff:
        raise VerbError(f"generated files in {out} are stale: run `weenats generate`")
    if behind := [gap.file for gap in freshness.gaps if gap.missing or gap.unreadable]:
        raise VerbError(f"no service can be started of {', '.join(behind)}")


def _tell(gaps: "Iterable[Gap]") -> None:
    """Warn of handlers that do not go with their contract."""
    for gap in gaps:
        for line in gap.lines:
            warn(line)
