"""A place where a JSON value is not valid."""

from typing import Final, NamedTuple

from weenats.model import UNDECLARED

__all__ = ["MAX_VIOLATIONS", "Declared", "Violation"]
MAX_VIOLATIONS: Final = 20
"""How many violations of one value are reported."""
_MAX_POINTER_LENGTH: Final = 200


class Declared(str):
    """The name of a member that the contract declares; other names are content of the message."""

    __slots__ = ()


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
        """The path as a JSON Pointer, of at most 200 characters, for whoever sent the value."""
        text = ""
        for part in self.path:
            text += "/" + str(part)[:_MAX_POINTER_LENGTH].replace("~", "~0").replace("/", "~1")
            if len(text) >= _MAX_POINTER_LENGTH:
                break
        return text[:_MAX_POINTER_LENGTH]

    @property
    def redacted(self) -> "Violation":
        """The violation with the names alone that are marked as declared, for logs."""
        shown = (part if isinstance(part, int | Declared) else UNDECLARED for part in self.path)
        return self._replace(path=tuple(shown))

    @property
    def text(self) -> str:
        """What is wrong and where, redacted, for logs and the texts of errors."""
        return f"{self.redacted.pointer}: {self.message}".removeprefix(": ")

    def inside(self, *names: str) -> "Violation":
        """Return the violation of what has the value inside it.

        Args:
            names: names that the contract declares, which lead to the value.
        """
        return self._replace(path=(*map(Declared, names), *self.path))

    def declared(self, names: frozenset[str]) -> "Violation":
        """Return the violation with the names marked that are declared.

        Args:
            names: the names of members that are declared.
        """
        marked = (
            Declared(part) if isinstance(part, str) and part in names else part
            for part in self.path
        )
        return self._replace(path=tuple(marked))

    def as_dict(self) -> dict[str, str]:
        """Return the violation as it is sent: its pointer, its keyword if known, its message."""
        found = {"pointer": self.pointer, "keyword": self.keyword, "message": self.message}
        return found if self.keyword else {"pointer": self.pointer, "message": self.message}
