"""A short text that a regular expression matches."""

import re
import string
import warnings
from importlib import import_module
from typing import Any, Final

codes: Any = import_module("re._constants")  # the parser of the module re, which has no types
parser: Any = import_module("re._parser")
_MAX_REPEATS: Final = 64
_CATEGORIES: Final[dict[Any, str]] = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: "a",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_WORD: "-",
}
_PRINTABLE: Final = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_. "
_CHARACTERS: Final = _PRINTABLE + string.punctuation + "".join(map(chr, range(0xA1, 0x500)))


def text_for(pattern: str) -> str | None:
    """Return a short text that a pattern probably matches, None if it cannot be made.

    Args:
        pattern: A pattern of ECMA-262.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets that Python may read otherwise
            text = _sequence(parser.parse(pattern))
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except (re.error, ValueError, RecursionError, OverflowError):
        return None


def _sequence(tokens: Any) -> str:
    return "".join(_one(code, argument) for code, argument in tokens)


def _one(code: Any, argument: Any) -> str:  # noqa: PLR0911 - one return a kind of token
    match code:
        case codes.LITERAL:
            return chr(argument)
        case codes.NOT_LITERAL:
            return "a" if argument != ord("a") else "b"
        case codes.ANY:
            return "a"
        case codes.IN:
            return _member(argument)
        case codes.BRANCH:
            return _sequence(argument[1][0])
        case codes.SUBPATTERN:
            return _sequence(argument[-1])
        case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
            least, most, inner = argument
            # Optional parts once, and what may be long a few times: it reads better.
            wished = 1 if least == 0 else 4 if least == 1 else int(least)
            return _sequence(inner) * min(wished, int(most), _MAX_REPEATS)
        case codes.AT | codes.ASSERT | codes.ASSERT_NOT:
            return ""
        case _:
            raise ValueError(code)


def _member(items: Any) -> str:
    """Return a character of a class, preferably a printable one."""
    if items[0][0] is codes.NEGATE:
        others = (each for each in _CHARACTERS if not _contains(items[1:], each))
        found = next(others, None)
        if found is None:
            raise ValueError("no character")
        return found
    return next((each for each in _PRINTABLE if _contains(items, each)), _first(items[0]))


def _contains(items: Any, character: str) -> bool:
    return any(_matches(code, argument, character) for code, argument in items)


def _matches(code: Any, argument: Any, character: str) -> bool:
    if code is codes.LITERAL:
        return bool(argument == ord(character))
    if code is codes.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    return re.fullmatch(_CLASS[argument], character, re.ASCII) is not None


_CLASS: Final[dict[Any, str]] = {
    codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D", codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _first(item: Any) -> str:
    code, argument = item
    if code is codes.LITERAL:
        return chr(argument)
    return chr(argument[0]) if code is codes.RANGE else _CATEGORIES[argument]
