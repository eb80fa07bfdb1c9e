"""Text of other parties, for a terminal or a log."""

import json

__all__ = ["printable"]


def printable(text: str, keep: str = "") -> str:
    """Return text whose characters that are not printable are escaped, as JSON escapes them.

    These are control characters, those that change the direction of text or take no place, line
    separators, and spaces other than the usual one: a terminal would obey or hide them.

    Args:
        text: the text; JSON remains the same JSON.
        keep: characters that remain.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else json.dumps(each)[1:-1] for each in text
    )
