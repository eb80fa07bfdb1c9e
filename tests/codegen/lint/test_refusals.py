"""Invalid contracts and their diagnostics.

`refusals/<case>/contract` is the input, `refusals/<case>/expected.txt` the output, byte for byte.
"""

from pathlib import Path

import pytest

from weenats_codegen.generate import read_contracts
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

REFUSALS = Path(__file__).parent / "refusals"


def refusal() -> str:
    """Return the diagnostics of the folder `contract`."""
    with pytest.raises(ContractError) as caught:
        read_contracts([Path("contract")])
    return f"{caught.value}\n"


@pytest.mark.parametrize("case", sorted(path.name for path in REFUSALS.iterdir()))
def test_says_all_that_is_wrong(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each diagnostic is one line: file, JSON pointer, message, remedy."""
    monkeypatch.chdir(REFUSALS / case)
    expected = Path("expected.txt").read_text(encoding="utf-8")
    assert refusal() == expected
    for line in expected.splitlines():
        place, _, rest = line.partition(": ")
        message, _, remedy = rest.partition("; ")
        assert place.startswith("contract")
        assert message
        assert remedy


def test_sample_has_no_problems(receipts_contract: Path) -> None:
    """The sample is valid."""
    assert read(receipts_contract).service == "receipts"
