"""Problems are printable lines, sorted, each once."""

from hypothesis import example, given
from hypothesis import strategies as st

from weenats_codegen.parser.diagnostics import ContractError, Problem, joined, shown


def test_is_one_line() -> None:
    """File, pointer, what is wrong, what to do."""
    problem = Problem("schemas/x/service.yaml", "/commands/add-item/payload", "is bad", "mend it")
    assert str(problem) == "schemas/x/service.yaml#/commands/add-item/payload: is bad; mend it"
    assert str(Problem("service.yaml", "", "is bad", "mend it")) == "service.yaml: is bad; mend it"


def test_error_holds_all_at_once() -> None:
    """An error has every problem, sorted by file and place, and says each once."""
    one = Problem("a.yaml", "/b", "is bad", "mend it")
    other = Problem("a.yaml", "/a", "is bad", "mend it")
    error = ContractError([one, other, one])
    assert error.problems == (other, one)
    assert str(error) == f"{other}\n{one}"


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
@example("a\nb", "/\x1b[31m", "\u202e\ud800")
def test_always_printable(file: str, pointer: str, message: str) -> None:
    """Whatever a contract holds, a problem neither breaks its line nor talks to the terminal."""
    line = str(Problem(file, pointer, message, "mend it"))
    assert line.isprintable()
    line.encode()


@given(st.recursive(st.text(st.characters()) | st.integers() | st.none(), st.lists))
def test_values_are_quoted(value: object) -> None:
    """Text of a contract is quoted in messages, printable and short."""
    assert shown(value).isprintable()
    assert len(shown(value)) <= 60


def test_pointers_are_escaped() -> None:
    """Steps of a pointer are escaped as RFC 6901 says."""
    assert joined("/a", "b/c~d", 0) == "/a/b~1c~0d/0"
    assert joined("") == ""
