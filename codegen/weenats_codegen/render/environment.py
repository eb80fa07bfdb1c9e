"""The templates, and what they need."""

from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from weenats_codegen.render import literals

_MAX_PATH_LENGTH: Final = 60


@cache
def environment() -> Environment:
    """Return the templates, with filters that make source of text."""
    found = Environment(  # noqa: S701 - Python, TOML and Markdown; the filters below escape them
        loader=PackageLoader("weenats_codegen.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "tuple": tuple_source,
        "string": literals.string,
        "docstring": literals.docstring,
        "toml": literals.toml,
        "markdown": literals.markdown,
    }
    return found


def shown_path(path: str, fallback: str) -> str:
    """Return a path for a header, or a shorter text if it is absolute or too long."""
    fits = len(path) <= _MAX_PATH_LENGTH and path.isprintable()
    return path if fits and not PurePosixPath(path).is_absolute() else fallback


def tuple_source(names: Iterable[str]) -> str:
    """Return the source of a tuple."""
    text = ", ".join(names)
    return f"({text},)" if text and ", " not in text else f"({text})"
