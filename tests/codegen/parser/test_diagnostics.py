"""Contract problems: printable, sorted and without duplicates."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weenats_codegen.parser.diagnostics import (
    ContractError,
    Diagnostic,
    Location,
    did_you_mean,
    quoted,
)


def test_problem_is_one_line() -> None:
    """A problem is one line: file, JSON pointer, message and remedy."""
    location = Location("schemas/x/service.yaml", "/commands/add-item/payload")
    text = "schemas/x/service.yaml#/commands/add-item/payload: is bad; fix it"
    assert str(Diagnostic(location, "is bad", "fix it")) == text
    whole = Diagnostic(Location("service.yaml"), "is bad", "fix it")
    assert str(whole) == "service.yaml: is bad; fix it"


def test_contract_error_has_all_problems() -> None:
    """A ContractError has all problems, sorted by file and pointer, without duplicates."""
    one = Diagnostic(Location("a.yaml", "/b"), "is bad", "fix it")
    other = Diagnostic(Location("a.yaml", "/a"), "is bad", "fix it")
    error = ContractError([one, other, one])
    assert error.diagnostics == (other, one)
    assert str(error) == f"{other}\n{one}"


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
@example("a\nb", "/\x1b[31m", "\u202e\ud800")
def test_problem_is_always_printable(file: str, pointer: str, message: str) -> None:
    """A problem is one printable line, whatever text the contract contains."""
    line = str(Diagnostic(Location(file, pointer), message, "fix it"))
    assert line.isprintable()
    line.encode()


@pytest.mark.slow
@given(st.recursive(st.text(st.characters()) | st.integers() | st.none(), st.lists))
def test_shown_values_are_short_and_printable(value: object) -> None:
    """Values of a contract are short and printable in messages."""
    assert quoted(value).isprintable()
    assert len(quoted(value)) <= 60


def test_json_pointers_are_escaped() -> None:
    """The steps of a JSON pointer are escaped as in RFC 6901."""
    location = Location("x.yaml", "/a")
    assert location.child("b/c~d", 0) == Location("x.yaml", "/a/b~1c~0d/0")
    assert location.child() == location


def test_similar_name_is_suggested() -> None:
    """The most similar name is the remedy, whatever its case; otherwise some that exist."""
    assert did_you_mean("ORDER", ["orders", "other"]) == "did you mean orders?"
    assert did_you_mean("gte", ["order.get", "cancel"]) == "did you mean order.get?"
    assert did_you_mean("x", ["b", "a", "b"]) == "known are a, b"
    assert did_you_mean("x", ["b"], "try another") == "try another"
    assert did_you_mean("x", []) == "there are none"
    assert did_you_mean("x", map(str, range(100, 260))).endswith(", 149 and 110 more")
