"""The command `weenats`: runs a verb; what went wrong becomes one clear line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Nothing heavy is imported before a
verb needs it, so that `weenats --help` stays fast and a verb needs no more extras than it uses.
"""

import sys
from collections.abc import Sequence

from weenats_codegen.verbs.failures import describe

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    try:
        from weenats_codegen.verbs.app import app

        app(args=arguments, prog_name="weenats", standalone_mode=True)
    except SystemExit as done:  # how typer ends, wrong usage included
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        lines = describe(error)
        if not lines:
            raise  # a defect of ours: its traceback is worth more than a line
        for line in lines:
            sys.stderr.write(f"weenats: {line}\n")
        return 1
    return 0
