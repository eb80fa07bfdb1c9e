"""What a user may have meant by a name that does not exist."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a hint for an error: the most similar name.

    Args:
        name: What the user wrote.
        known: The names that exist.
        otherwise: The hint if none of them is similar.
    """
    close = difflib.get_close_matches(name, sorted(set(known)), n=1)
    return f"did you mean {close[0]}?" if close else otherwise
