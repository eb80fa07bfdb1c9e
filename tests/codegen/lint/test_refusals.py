"""Bad contracts and, beside each, every line that is said about it.

`refusals/<case>/contract` is the input, `refusals/<case>/expected.txt` the output, byte for byte.
"""

from pathlib import Path

import pytest

from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import find_contracts, load

REFUSALS = Path(__file__).parent / "refusals"


def refusal() -> str:
    """Return what is said about the folder `contract`."""
    try:
        problems = [p for folder in find_contracts([Path("contract")]) for p in lint(load(folder))]
    except ContractError as error:
        return f"{error}\n"
    return "".join(f"{problem}\n" for problem in problems)


@pytest.mark.parametrize("case", sorted(path.name for path in REFUSALS.iterdir()))
def test_says_all_that_is_wrong(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem of a contract is one line: file, JSON pointer, what is wrong, what to do."""
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
    assert lint(load(receipts_contract)) == []
