"""What a JSON Schema allows, by jsonschema-rs, and what of it Python has no values for."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from testkit.json_schemas.dialects import DATA, NAMED
from testkit.json_schemas.schemas import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = Any
_ANNOTATED: Final = (
    *("idn-email", "idn-hostname", "iri", "iri-reference", "uri-template"),
    "relative-json-pointer",
)
"""Formats that jsonschema-rs knows and contracts do not assert."""
_YEAR: Final = re.compile(r"0000-[0-9]{2}-[0-9]{2}(?:[Tt].*)?")
_LEAP_SECOND: Final = re.compile(r"(?:.*[Tt])?[0-9]{2}:[0-9]{2}:60.*")
_NANOSECONDS: Final = re.compile(r"(?:.*[Tt])?[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[0-9]*[1-9].*")
_YEARS_OR_MONTHS: Final = re.compile(r"P(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T[0-9HMS]+)?")
_MAX_EXACT: Final = 2**53
_MAX_FLOAT: Final = 10**308
_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"
)


class Oracle:
    """Decides which documents a schema allows.

    Args:
        schema: the schema as it stands in a contract.

    Raises:
        ValueError: it is not a valid schema.
    """

    def __init__(self, schema: Json) -> None:
        assertions: dict[str, Callable[[str], bool]] = dict.fromkeys(_ANNOTATED, lambda _: True)
        for name in FORMATS:
            # Not every draft knows every format.
            assertions[name] = jsonschema_rs.Draft202012Validator(
                {"format": name}, validate_formats=True
            ).is_valid
        self._validator = jsonschema_rs.validator_for(
            _with_integers(_plain(schema), _MAX_EXACT),
            formats=assertions,
            validate_formats=True,
            offline=True,
        )
        text = str(schema)
        self._is_old = "draft-04" in text
        self._has_base64 = "'base64'" in text
        self._has_times = any(f"'{name}'" in text for name in ("date", "time", "date-time"))
        self._has_defaults = "'default'" in text
        self._has_formats = "'format'" in text or self._has_base64
        self._has_durations = "'duration'" in text

    def allows(self, document: Json) -> bool:
        """Return whether a document is valid.

        1.0 is an integer, in draft-04 too, which leaves that open. Numbers are equal if their
        values are, however they are written; to jsonschema-rs, the float 1e23 is less than 10^23.
        """
        return self._validator.is_valid(_with_integers(document, 0 if self._is_old else _MAX_EXACT))

    def allows_floats(self, document: Json) -> bool:
        """Return whether a document is valid with the numbers that Python's floats can hold.

        The value of a `number` is a float: digits beyond 2^53 may differ when it is sent.
        """
        return self.allows(_with_floats(document))

    def may_be_refused(self, document: Json) -> bool:
        """Return whether a valid document has text that Python types of its schema cannot hold.

        These are leap seconds, the year 0000 and fractions of less than a microsecond, durations
        with years or months or of more than 999,999,999 days, text that is not base64, all of them
        where the schema has such a format.
        """
        return any(self._is_not_held(text) for text in _texts(document))

    def is_kept(self, document: Json, encoded: Json) -> bool:
        """Return whether what was encoded is a document that was decoded, written differently.

        Numbers may have become floats. Text of a format may be written in another way, and members
        that were not given may have got their defaults, if the schema has any.

        Args:
            document: the document.
            encoded: what its Python value was encoded as.
        """
        if isinstance(document, dict) and isinstance(encoded, dict):
            added = encoded.keys() - document.keys()
            return (
                document.keys() <= encoded.keys()
                and (not added or self._has_defaults)
                and all(self.is_kept(document[name], encoded[name]) for name in document)
            )
        if isinstance(document, list) and isinstance(encoded, list):
            return len(document) == len(encoded) and all(map(self.is_kept, document, encoded))
        if isinstance(document, str) and isinstance(encoded, str):
            return document == encoded or self._has_formats
        if isinstance(document, bool) or isinstance(encoded, bool):
            return document is encoded
        if isinstance(document, int | float) and isinstance(encoded, int | float):
            return document == encoded or float(document) == float(encoded)
        return bool(document == encoded)

    def _is_not_held(self, text: str) -> bool:
        if self._has_base64 and not _BASE64.fullmatch(text):
            return True
        patterns = (_YEAR, _LEAP_SECOND, _NANOSECONDS)
        if self._has_times and any(pattern.fullmatch(text) for pattern in patterns):
            return True
        if self._has_durations and _YEARS_OR_MONTHS.fullmatch(text):
            return "Y" in text or "M" in text.partition("T")[0] or len(text) > 10
        return False


def is_schema(schema: Json) -> bool:
    """Return whether a schema is valid by the meta-schema of its dialect."""
    try:
        Oracle(schema)
    except ValueError:
        return False
    return True


def _texts(document: Json) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from _texts(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            yield name
            yield from _texts(value)


def _with_integers(value: Json, least: int) -> Json:
    """Return JSON with integers in place of whole floats of at least some size, digit by digit."""
    if isinstance(value, float) and value.is_integer() and abs(value) >= least:
        return int(Decimal(repr(value)))
    if isinstance(value, list):
        return [_with_integers(part, least) for part in value]
    if isinstance(value, dict):
        return {name: _with_integers(part, least) for name, part in value.items()}
    return value


def _with_floats(value: Json) -> Json:
    """Return JSON with floats in place of integers that a float cannot hold."""
    if type(value) is int and _MAX_EXACT <= abs(value) < _MAX_FLOAT:
        return float(value)
    if isinstance(value, list):
        return [*map(_with_floats, value)]
    if isinstance(value, dict):
        return {name: _with_floats(part) for name, part in value.items()}
    return value


def _plain(schema: Json) -> Json:
    """Return a schema without `nullable` and `contentEncoding`.

    The former is unknown to validators, the latter some of them assert in draft-07.
    """
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Json] = {}
    for key, value in schema.items():
        if key in DATA:
            result[key] = value
        elif key == "contentEncoding":
            continue
        elif key in NAMED and isinstance(value, dict):
            result[key] = {name: _plain(part) for name, part in value.items()}
        else:
            result[key] = _plain(value)
    if result.pop("nullable", False) is not True:
        return result
    kinds = result.get("type")
    if isinstance(kinds, str):
        result["type"] = [kinds, "null"] if kinds != "null" else kinds
    elif isinstance(kinds, list):
        result["type"] = [*kinds, "null"] if "null" not in kinds else kinds
    else:
        kept = {key: result.pop(key) for key in ("$defs", "$schema") if key in result}
        return {"anyOf": [result, {"type": "null"}], **kept}
    return result
