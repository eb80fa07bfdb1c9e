"""The comparison of generated code with a validator notices what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit.json_schemas.comparison import Case, compare, reduced
from testkit.json_schemas.oracle import Oracle
from weenats.schema import Judge
from weenats.schema.violation import Violation

_SCHEMA = {
    "type": "object",
    "properties": {
        "tags": {"type": "array", "uniqueItems": True, "maxItems": 4},
        "name": {"type": "string", "title": "The name"},
    },
    "required": ["name"],
}
_CASE = Case(_SCHEMA, ({"name": "a", "tags": [1, 2]}, {"name": "a", "tags": [0, 1, 1]}, {}))


def test_agreement(tmp_path: Path) -> None:
    """Each document is compared, and nothing is reported where generated code is right."""
    tally = compare([_CASE], tmp_path)
    assert str(tally) == (
        "1 schemas, 1 of them judged by JSON Schema at run time; 3 documents, 1 of them valid, "
        "of which 0 have no value in Python; 0 disagreements"
    )


@pytest.mark.slow
def test_too_much_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its judge, a model takes what is invalid; the report is reduced to what matters."""
    monkeypatch.setattr(Judge, "is_valid", lambda judge, value: True)
    tally = compare([_CASE], tmp_path / "all")
    [found] = tally.disagreements
    assert found.what == "decoded what is invalid"
    small = reduced(found, tmp_path / "smaller")
    assert small.schema == {"properties": {"tags": {"uniqueItems": True}}}
    assert small.document == {"tags": [1, 1]}


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid document that is refused is reported, unless Python has no value for it."""
    monkeypatch.setattr(Judge, "is_valid", lambda judge, value: False)
    wrong = [Violation((), "not", "Input is wrong")]
    monkeypatch.setattr(Judge, "violations", lambda judge, value: wrong)
    [found] = compare([_CASE], tmp_path).disagreements
    assert found.document == _CASE.documents[0]
    assert found.what.startswith("refused what is valid: ")


def test_refused_schema(tmp_path: Path) -> None:
    """A schema that cannot be generated is reported, and the others are compared all the same."""
    refused = Case({"$ref": "missing.json"}, (1,))
    tally = compare([_CASE, refused], tmp_path)
    [found] = tally.disagreements
    assert found.what.startswith("generation: ")
    assert found.schema == refused.schema
    assert tally.documents == 3


def test_values_that_python_does_not_have() -> None:
    """Valid text without a Python value may be refused, in schemas with its format alone."""
    moments = Oracle({"format": "date-time"})
    assert moments.allows("2016-12-31T23:59:60Z")
    assert moments.may_be_refused("2016-12-31T23:59:60Z")
    assert moments.may_be_refused(["2024-01-01T00:00:00.0000001Z"])
    assert not moments.may_be_refused("2024-01-01T00:00:00.100000000Z")
    assert not moments.may_be_refused("P1Y")
    assert Oracle({"format": "duration"}).may_be_refused("P1Y")
    assert not Oracle({"format": "duration"}).may_be_refused("PT5M")
    assert not Oracle({"type": "string"}).may_be_refused("2016-12-31T23:59:60Z")
