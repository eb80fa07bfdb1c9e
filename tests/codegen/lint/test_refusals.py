"""Invalid contracts and the exact problems that are reported for each.

`refusals/<case>/contract` is the input, `refusals/<case>/expected.txt` the output, byte for byte.
"""

from pathlib import Path

import pytest

from weenats_codegen.generate import read_contracts
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

REFUSALS = Path(__file__).parent / "refusals"


def lint_output() -> str:
    """Return the problems of the contract in the folder `contract`."""
    with pytest.raises(ContractError) as caught:
        read_contracts([Path("contract")])
    return f"{caught.value}\n"


@pytest.mark.parametrize("case", sorted(path.name for path in REFUSALS.iterdir()))
def test_problems_match_expected_file(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem is one line: file, JSON pointer, message and remedy."""
    monkeypatch.chdir(REFUSALS / case)
    expected = Path("expected.txt").read_text(encoding="utf-8")
    assert lint_output() == expected
    for line in expected.splitlines():
        place, _, rest = line.partition(": ")
        message, _, remedy = rest.partition("; ")
        assert place.startswith("contract")
        assert message
        assert remedy


def test_sample_has_no_problems(receipts_contract: Path) -> None:
    """The sample contract is valid."""
    assert read(receipts_contract).service == "receipts"
