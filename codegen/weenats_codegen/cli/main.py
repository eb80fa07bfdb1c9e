"""The program `weenats`: runs a command; an error becomes one line and an exit code.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted. Commands import what they need
when they run, so that `weenats --help` is fast and a command needs only the extras that it uses.
"""

from collections.abc import Sequence

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program; by default that of the process.

    Returns:
        The exit code.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # also during the imports, which take most of the time
        return _INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    from weenats_codegen.cli.output import CANNOT_WRITE, flush, prepare_streams, warn

    prepare_streams()
    code = _run_app(arguments)
    failure = flush()
    if failure is not None and not isinstance(failure, BrokenPipeError):
        warn(f"{CANNOT_WRITE}: {failure.strerror}")
    return code or int(failure is not None)


def _run_app(arguments: Sequence[str] | None) -> int:
    from weenats_codegen.cli.errors import describe
    from weenats_codegen.cli.output import discard, warn

    try:
        from weenats_codegen.cli.app import command

        command(args=arguments, prog_name="weenats", standalone_mode=True)
    except SystemExit as done:  # how typer ends, also after wrong usage and Ctrl-C
        if isinstance(done.code, str):  # how code of the user may end
            warn(done.code)
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        discard()
        return 1
    except Exception as error:  # noqa: BLE001 - no command ends in a traceback
        for line in describe(error):
            warn(line)
        return 1
    except BaseException as error:
        import asyncio

        if not isinstance(error, asyncio.CancelledError):
            raise
        warn("a task of the command was cancelled, which only code of yours can have done")
        return 1
    return 0
