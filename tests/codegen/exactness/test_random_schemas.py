"""Generated code takes and sends exactly what schemas allow, whatever they are.

Hypothesis draws schemas over all keywords and dialects, and documents: those that are meant to be
valid, and some that are a change away from them. Each schema is the payload and the result of an
operation of a generated package. Requests at the service, replies at the client and what both of
them send are compared with jsonschema-rs and the schema as it was drawn. `make exactness` compares
more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from testkit.json_schemas.comparison import Tally, compare, reduced
from testkit.json_schemas.dialects import NAMED, URIS
from testkit.json_schemas.drawing import drawn_cases

_PROFILE = settings().max_examples
_COUNT = int(os.environ.get("COUNT") or _PROFILE * 5)
"""The number of schemas: 50 in the profile `quick`, 500 in `thorough`."""
_DOCUMENTS = _PROFILE // 2 + 1
"""The number of documents for each schema: 6, or 51."""
_SEED = int(os.environ.get("SEED") or 0)
_PART = 100
_MAX_REDUCED = 2
_KEYWORDS = {
    *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
    *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties", "required"),
    *("dependentRequired", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependentSchemas", "prefixItems", "items", "contains", "properties", "patternProperties"),
    *("additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
    *("format", "contentEncoding", "$ref", "$defs", "$anchor", "default", "nullable", "deprecated"),
    *("x-python-type", "additionalItems", "dependencies", "definitions", "title", "$schema"),
}


@pytest.mark.slow
@pytest.mark.hypothesis
@pytest.mark.parametrize("start", range(0, _COUNT, _PART))
def test_generated_code_and_validator_agree(start: int, tmp_path: Path) -> None:
    """Service and client decode what the validator takes, refuse the rest, and send the same."""
    cases = drawn_cases(_SEED + start, min(_PART, _COUNT - start), _DOCUMENTS)
    tally = compare(cases, tmp_path / "all")
    print(tally)  # noqa: T201 - `make exactness` shows it
    assert not tally.disagreements, _report(tally, tmp_path)
    assert tally.documents == len(cases) * _DOCUMENTS


@pytest.mark.slow
def test_all_keywords_and_dialects_are_drawn() -> None:
    """Every keyword, every dialect, booleans, valid and invalid documents are among the cases."""
    cases = drawn_cases(1, 200, 0)
    used: set[str] = set()
    for case in cases:
        used |= _keywords(case.schema)
    assert used >= _KEYWORDS
    objects = [case.schema for case in cases if isinstance(case.schema, dict)]
    assert {schema.get("$schema") for schema in objects} == {None, *URIS}


def _report(tally: Tally, folder: Path) -> str:
    """Return the number of disagreements, and the first ones as small as they get."""
    found = {str(each.schema): each for each in reversed(tally.disagreements)}
    shown = [*found.values()][-_MAX_REDUCED:]
    texts = [str(reduced(each, folder / str(index))) for index, each in enumerate(shown)]
    return "\n".join([str(tally), *texts])


def _keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_keywords, schema))
    if not isinstance(schema, dict):
        return set()
    found = {*schema}
    for key, value in schema.items():
        inner = [*value.values()] if key in NAMED and isinstance(value, dict) else value
        found |= set() if key in {"enum", "const", "default"} else _keywords(inner)
    return found
