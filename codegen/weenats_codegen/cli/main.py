"""The command `weenats`: runs a verb; what went wrong becomes one clear line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Nothing heavy is imported before a
verb needs it, so that `weenats --help` stays fast and a verb needs no more extras than it uses.
"""

from collections.abc import Sequence

from weenats_codegen.cli.errors import describe
from weenats_codegen.cli.output import warn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    code: object = 0
    try:
        from weenats_codegen.cli.app import app

        app(args=arguments, prog_name="weenats", standalone_mode=True)
    except SystemExit as done:  # how typer ends, after wrong usage and Ctrl-C too
        code = done.code
    except Exception as error:
        lines = describe(error)
        if not lines:
            raise  # a defect of ours: its traceback is worth more than a line
        for line in lines:
            warn(line)
        code = 1
    return code if isinstance(code, int) else 1
