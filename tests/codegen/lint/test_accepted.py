"""Contracts whose schemas are unusual and valid: none is refused.

`accepted/<case>` is the contract.
"""

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
