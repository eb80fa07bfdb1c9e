"""The command `check`: fails if generated files are not up to date."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.generate import warn_of_mismatches
from weenats_codegen.cli.output import emit, write
from weenats_codegen.generate import Freshness, check_client
from weenats_codegen.generate import check as check_packages

if TYPE_CHECKING:
    from rich.console import RenderableType


def check(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Compare existing packages with what would be generated.

    Raises:
        CliError: They differ, or a run was interrupted, or handlers are missing, so that their
            service cannot start.
    """
    _show(check_packages(schemas, out), out, as_json=as_json)


def check_client_project(contract: Path, out: Path, package: str, *, as_json: bool) -> None:
    """Compare an existing client project with what would be generated.

    Raises:
        CliError: They differ, or a run was interrupted.
    """
    _show(check_client(contract, out, package), out, as_json=as_json)


def _show(freshness: Freshness, out: Path, *, as_json: bool) -> None:
    diff, mismatches = freshness.diff, freshness.mismatches
    incomplete = [each.file for each in mismatches if each.missing or each.unreadable]
    fresh = not diff and not incomplete and not freshness.interrupted
    if diff and not as_json and not sys.stdout.isatty():
        write(diff)  # for `patch` and for logs
    elif fresh or diff or as_json:
        gaps = [asdict(mismatch) for mismatch in mismatches]
        result = {"fresh": fresh, "diff": diff, "gaps": gaps}
        emit(result, as_json=as_json, render=lambda: _rendered(diff))
    warn_of_mismatches(mismatches)
    if freshness.interrupted:
        raise CliError(f"`weenats generate` was interrupted in {out}: run it again")
    if diff:
        raise CliError(f"generated files in {out} are stale: run `weenats generate`")
    if incomplete:
        raise CliError(f"services cannot start with {', '.join(incomplete)}")


def _rendered(diff: str) -> "RenderableType":
    if not diff:
        return "[green]fresh[/]: the generated files match their contracts"
    from rich.syntax import Syntax

    return Syntax(diff.rstrip("\n"), "diff", background_color="default", word_wrap=True)
