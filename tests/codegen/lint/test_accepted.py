"""Contracts whose schemas are unusual and valid: none is refused.

`accepted/<case>` is the contract.
"""

import json
from pathlib import Path

import pytest

from weenats_codegen.loading import read

ACCEPTED = Path(__file__).parent / "accepted"


@pytest.mark.parametrize("case", sorted(path.name for path in ACCEPTED.iterdir()))
def test_contract_has_no_problems(case: str) -> None:
    """Any valid schema may be a part of a contract."""
    contract = read(ACCEPTED / case)
    assert contract.bundle.names
    assert not set(contract.bundle.definitions) & set(contract.bundle.taken)


def test_classes_of_schemas_have_free_names() -> None:
    """Schemas of one name, or with that of a client or an error, get names of their own."""
    contract = read(ACCEPTED / "equal-names-of-schemas")
    assert list(contract.bundle.definitions) == [
        "Parcel",
        "ParcelSchema",
        "ParcelsClientPayload",
        "Send",
        "SendAddress",
        "SendSchema",
        "ServiceTornDetails",
        "TornDetails",
        "TornErrorPayload",
    ]


@pytest.mark.parametrize("draft", ["draft-04", "draft-07"])
def test_formats_of_old_meta_schemas_do_not_refuse(draft: str, tmp_path: Path) -> None:
    """Patterns of browsers, and references with characters that URIs escape, are valid."""
    schema = {
        "$schema": f"http://json-schema.org/{draft}/schema#",
        "pattern": "^[a-z]]?$",
        "patternProperties": {"^${{a}}$": {"$ref": "#/definitions/Partial<a|b>"}},
        "definitions": {"Partial<a|b>": {"type": "string"}},
    }
    contract = {
        "service": "parcels",
        "version": "1.0.0",
        "description": "Carries parcels.",
        "aggregates": {
            "parcel": {
                "description": "A parcel.",
                "state": {"$ref": "a.json"},
                "queries": {"get": {"description": "Show it."}},
            }
        },
    }
    (tmp_path / "service.json").write_text(json.dumps(contract), encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(schema), encoding="utf-8")
    definitions = read(tmp_path).bundle.definitions
    assert {"type": "string"} in definitions.values()
    (outer,) = [each for each in definitions.values() if each != {"type": "string"}]
    assert isinstance(outer, dict)
    assert outer["pattern"] == r"^[a-z]\]?$"
