"""Which frames exceptions keep that were handled."""

from traceback import walk_tb

import pytest

from weenats._internal.tracebacks import MAX_FRAMES, release_frames


def deep(error: BaseException, frames: int = MAX_FRAMES) -> BaseException:
    """Return an exception whose traceback has one frame more than is given."""

    def fail(left: int) -> None:
        if not left:
            raise error
        fail(left - 1)

    with pytest.raises(type(error)):
        fail(frames - 1)
    return error


def depth(error: BaseException | None) -> int:
    """Return how many frames the traceback of an exception has."""
    return 0 if error is None else len(list(walk_tb(error.__traceback__)))


def chained(error: BaseException, cause: BaseException) -> BaseException:
    """Return an exception with a cause."""
    error.__cause__ = cause
    return error


def test_traceback_of_one_exception_stays() -> None:
    """It may be read after the request: records of the log are formatted later."""
    error = chained(deep(ValueError(), 5), deep(OSError(), 5))
    release_frames(error)
    assert depth(error) == depth(error.__cause__) == 6


def test_long_tracebacks_are_released_along_the_chain() -> None:
    """Those of causes, contexts and members of groups too, in circles as well."""
    cause, context, member = deep(OSError()), deep(KeyError()), deep(TypeError())
    error = chained(deep(ValueError(), 5), cause)
    cause.__context__ = context
    context.__cause__ = ExceptionGroup("of a task group", [member])  # type: ignore[list-item]
    member.__context__ = error
    release_frames(error)
    assert [depth(each) for each in (error, cause, context, member)] == [6, 0, 0, 0]


def test_members_of_odd_classes_are_not_asked() -> None:
    """The exception is of the code of users, and comes to its end here."""

    def fail(_: object) -> object:
        raise ArithmeticError

    names = ("__traceback__", "__cause__", "__context__", "__class__", "exceptions")
    members = dict.fromkeys(names, property(fail))
    for base in (Exception, ExceptionGroup):
        odd = type("OddError", (base,), members)
        error: BaseException = odd("a", [OSError()]) if base is ExceptionGroup else odd()
        release_frames(error)
