"""A place where a JSON value is not valid."""

from typing import Final, NamedTuple

__all__ = ["MAX_VIOLATIONS", "Violation"]
MAX_VIOLATIONS: Final = 20
"""How many violations of one value are reported."""
_MAX_POINTER_LENGTH: Final = 200


class Violation(NamedTuple):
    """A place where a JSON value is not valid.

    Attributes:
        path: names of members and indices of items that lead to the place.
        keyword: what the schema has there; "" when it is not known.
        message: what is expected, without any value.
    """

    path: tuple[str | int, ...]
    keyword: str
    message: str

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer, of at most 200 characters."""
        text = ""
        for part in self.path:
            text += "/" + str(part)[:_MAX_POINTER_LENGTH].replace("~", "~0").replace("/", "~1")
            if len(text) >= _MAX_POINTER_LENGTH:
                break
        return text[:_MAX_POINTER_LENGTH]

    def as_dict(self) -> dict[str, str]:
        """Return the violation as it is sent: its pointer, its keyword if known, its message."""
        found = {"pointer": self.pointer, "keyword": self.keyword, "message": self.message}
        return found if self.keyword else {"pointer": self.pointer, "message": self.message}
