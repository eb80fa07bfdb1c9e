"""Characters that are invisible, or reorder the text around them."""

import unicodedata
from typing import Final

_ALLOWED: Final = frozenset("\n\t\u200c\u200d")  # scripts and emoji need the joiners
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_invisible(character: str) -> bool:
    """Return whether a character must not get into generated code."""
    return unicodedata.category(character) in _INVISIBLE and character not in _ALLOWED


def visible(text: str) -> str:
    """Return a text without invisible characters; its line breaks are all alike."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if lines.isprintable():
        return lines
    return "".join(character for character in lines if not is_invisible(character))
