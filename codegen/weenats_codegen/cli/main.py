"""The program `weenats`: runs a command; an error becomes one line and an exit code.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted. Commands import what they need
when they run, so that `weenats --help` is fast and a command needs only the extras that it uses.
"""

from collections.abc import Sequence

from weenats_codegen.cli.errors import describe
from weenats_codegen.cli.output import warn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program; by default that of the process.

    Returns:
        The exit code.
    """
    code: object = 0
    try:
        from weenats_codegen.cli.app import app

        app(args=arguments, prog_name="weenats", standalone_mode=True)
    except SystemExit as done:  # how typer ends, also after wrong usage and Ctrl-C
        code = done.code
    except Exception as error:
        lines = describe(error)
        if not lines:
            raise  # a bug: its traceback is more useful than one line
        for line in lines:
            warn(line)
        code = 1
    return code if isinstance(code, int) else 1
