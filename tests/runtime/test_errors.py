"""The error classes, their table, and the text of errors."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.forks import CONTEXT
from testkit.probe import MissingDetails, NotReadyError, PartMissingError
from weenats import InvalidTokenError, errors
from weenats.codec.failures import encode_error_headers
from weenats.errors import (
    CLASS_OF_CODE,
    Code,
    ConnectionClosedError,
    ConnectionLostError,
    InvalidArgumentError,
    MessageTooLargeError,
    NoRespondersError,
    NotFoundError,
    ServiceError,
    UnavailableError,
    connection_error,
)
from weenats.protocol import headers
from weenats.protocol.messages import ErrorCode
from weenats.protocol.subjects import SubjectError
from weenats.testing.nats_server import NatsServerError
from weenats.transport.jetstream import StreamMissingError
from weenats_codegen.cli.errors import CliError
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location

NUMBERS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 422,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_ROW = re.compile(r"^((?:│   |├── |└── |    )*)(\w+Error)(?: +([A-Z_]+) +(\d{3}))?(?: {3,}.+)?$")
CLASSES = list(CLASS_OF_CODE.values())


def _documented_classes() -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yield name, parent, code and number of each row of the tree in the docstring."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        depth = len(row[1]) // 4
        above[depth:] = [row[2]]
        yield row[2], above[depth - 1] if depth else "Exception", row[3], row[4]


def _actual_classes(root: type[ServiceError], parent: str) -> Iterator[tuple[str, str]]:
    if root.__module__ == errors.__name__:
        yield root.__name__, parent
        for child in root.__subclasses__():
            yield from _actual_classes(child, root.__name__)


def test_documented_error_tree_matches_the_classes() -> None:
    """The docstring lists every class under its parent, and nothing else."""
    drawn = [(name, parent) for name, parent, _, _ in _documented_classes()]
    assert sorted(drawn) == sorted(_actual_classes(ServiceError, "Exception"))


def test_documented_codes_and_numbers_match_the_classes() -> None:
    """Each row has code and number of its class, and all thirteen codes have a row."""
    rows = {
        code: (getattr(errors, name), int(number or 0))
        for name, _, code, number in _documented_classes()
    }
    rows = {code: row for code, row in rows.items() if code}
    assert set(rows) == set(NUMBERS)
    assert all((kind.code, kind.number) == (code, number) for code, (kind, number) in rows.items())


def test_every_code_has_exactly_one_class() -> None:
    """Enum, table and wire schema have the same thirteen codes."""
    assert set(CLASS_OF_CODE) == {code.value for code in Code} == set(get_args(ErrorCode.__value__))
    assert {code: kind.number for code, kind in CLASS_OF_CODE.items()} == NUMBERS
    assert all(kind.code.value == code for code, kind in CLASS_OF_CODE.items())
    assert len(set(CLASSES)) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_error_message_defaults_to_the_description(kind: type[ServiceError]) -> None:
    """Without a message the description is used; str() shows code and message."""
    assert kind().message == kind.description
    assert str(kind("because")) == f"{kind.code.value}: because"
    assert kind("").message == ""
    assert (kind().details, kind().remote, kind().name) == (None, False, "")


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("s3cret"),
        NotReadyError("s3cret", details={"x": "s3cret"}),
        PartMissingError("s3cret", details=MissingDetails(part="s3cret")),
    ],
)
def test_error_label_has_no_message(error: ServiceError) -> None:
    """Statistics and logs show the code and the declared name only."""
    assert error.label == f"{error.code.value} {error.name}".strip()
    assert "s3cret" not in error.label


def test_cancelled_error_is_not_asyncio_cancelled_error() -> None:
    """CancelledError is an ordinary Exception; DeadlineExceededError is not a TimeoutError."""
    import asyncio

    assert not issubclass(errors.CancelledError, asyncio.CancelledError)
    assert issubclass(errors.CancelledError, Exception)
    assert not issubclass(errors.DeadlineExceededError, TimeoutError)


class LockedError(NotFoundError):
    """An error of a user, whose constructor takes something else than a message."""

    def __init__(self, owner: str, *, since: int) -> None:
        super().__init__(f"locked by {owner}")
        self.owner = owner
        self.since = since


class SlotsError(NotFoundError):
    """An error with slots, whose arguments are not its message."""

    __slots__ = ("owner",)

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.args = (owner, 5)


class NewError(NotFoundError):
    """An error with a `__new__` of its own."""

    def __new__(cls, owner: str, since: int) -> Self:
        """Take two arguments."""
        del owner, since
        return super().__new__(cls)

    def __init__(self, owner: str, since: int) -> None:
        super().__init__()
        self.pair = (owner, since)


class MixedError(NotFoundError, KeyError, OSError):  # type: ignore[misc]
    """An error that is one of the standard library as well."""


class StatefulError(NotFoundError):
    """An error that leaves out what cannot be pickled."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the lock."""
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, object] | None) -> None:
        """Restore, with a lock."""
        vars(self).update(state or {})
        self.lock = threading.Lock()


class MinimalError(NotFoundError):
    """An error that does not call the constructor of its base."""

    def __init__(self, owner: str) -> None:
        self.owner = owner


ERRORS: Final[list[Exception]] = [
    *(kind("m", details={"retryAfter": 5, "deep": [1]}) for kind in CLASS_OF_CODE.values()),
    ServiceError("m"),
    NoRespondersError("m"),
    ConnectionClosedError("m"),
    ConnectionLostError("m"),
    MessageTooLargeError("m"),
    InvalidTokenError("why"),
    NatsServerError("m"),
    SubjectError("m"),
    NotReadyError(),
    PartMissingError("gone", details=MissingDetails(part="wheel")),
    LockedError("ada", since=5),
    SlotsError("ada"),
    NewError("ada", 5),
    MixedError("m"),
    StatefulError("ada"),
    MinimalError("ada"),
    ContractError([Diagnostic(Location(name), "m", "r") for name in "ba"]),
    CliError("m"),
]


def duplicates(error: Exception) -> Iterator[Exception]:
    """Yield copies of an error, and what each version of pickle makes of it."""
    yield copy.copy(error)
    yield copy.deepcopy(error)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own


def members(error: Exception) -> dict[str, object]:
    """Return what a copy must have in common with an error."""
    known: dict[str, object] = {
        **vars(error),
        "args": error.args,
        "owner": getattr(error, "owner", None),
    }
    known.pop("lock", None)
    return known


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_copy_and_pickle(error: Exception) -> None:
    """Class, text, arguments and all members are the same, whatever the constructor takes."""
    vars(error)["remote"] = True
    error.add_note("a note")
    for other in duplicates(error):
        assert type(other) is type(error)
        assert members(other) == members(error)
        if not isinstance(error, MinimalError):
            assert str(other) == str(error)
        for again in duplicates(other):
            assert members(again) == members(error)


def test_deep_copies_share_no_details() -> None:
    """A deep copy has details of its own, a shallow one shares them."""
    error = NotFoundError(details={"deep": [1]})
    assert copy.copy(error).details is error.details
    other = copy.deepcopy(error)
    other.details["deep"].append(2)
    assert error.details == {"deep": [1]}


def test_errors_cross_processes() -> None:
    """An error that a worker process raises arrives in the parent as it was raised."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        error = pool.submit(headers.check, {"Wee-X": "1"}).exception()
    assert isinstance(error, InvalidArgumentError)
    assert error.message == "the header Wee-X is reserved for weenats and NATS"
    assert (error.details, error.remote) == (None, False)


def test_details_accept_any_mapping() -> None:
    """Details are stored as a separate dictionary."""
    kept = {"n": 1}
    error = NotFoundError(details=MappingProxyType(kept))
    kept["n"] = 2
    assert error.details == {"n": 1}


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ({"retryAfter": 250}, 0.25), ({"retryAfter": 0}, 0.0), ({"retryAfter": 1.5}, 0.0015),
        (None, None), ({}, None), ({"retryAfter": "5"}, None), ({"retryAfter": True}, None),
        ({"retryAfter": -1}, None), ({"retryAfter": float("inf")}, None),
        ({"retryAfter": float("nan")}, None), ({"retryAfter": 2**53}, None),
        ({"retryAfter": 10**400}, None), ({"retryAfter": 1e308}, None),
    ],
)  # fmt: skip
def test_retry_after_is_read_from_details(details: Any, seconds: float | None) -> None:
    """The retryAfter is in milliseconds; an invalid value gives None."""
    assert UnavailableError(details=details).retry_after == seconds


@given(st.integers(0, 10**6))
def test_retry_after_header_matches_the_details(milliseconds: int) -> None:
    """Converting to seconds and back does not change the milliseconds."""
    lines = encode_error_headers(UnavailableError(details={"retryAfter": milliseconds})).decode()
    assert f"Wee-Retry-After: {milliseconds}\r\n" in lines


CANONICAL: Final = {
    each
    for each in errors.__all__
    if each.endswith("Error") and not getattr(errors, each).of_connection
}
"""The classes that handlers raise for their callers too."""


def unmarked(path: Path) -> list[str]:
    """Return where a module makes errors of callers' classes that are not those of connections."""
    tree = ast.parse(path.read_text())
    marked = {
        id(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "connection_error"
    }
    made = [
        each.func if isinstance(each, ast.Call) else each.exc
        for each in ast.walk(tree)
        if isinstance(each, ast.Call | ast.Raise) and id(each) not in marked
    ]
    return [
        f"{path.name}:{each.lineno}: {each.id}"
        for each in made
        if isinstance(each, ast.Name) and each.id in CANONICAL
    ]


def test_errors_of_connections_are_marked() -> None:
    """Whatever transports and streams raise, their text stays in the service."""
    root = Path(errors.__file__).parent
    modules = [
        *(root / "transport").rglob("*.py"),
        *(root / "streams").rglob("*.py"),
        *(root / "testing").glob("memory*.py"),
    ]
    assert len(modules) > 30
    assert [place for each in modules for place in unmarked(each)] == []
    assert connection_error(NotFoundError, "x").of_connection
    assert copy.copy(connection_error(NotFoundError, "x")).of_connection
    assert StreamMissingError("orders-events").of_connection
    assert not NotFoundError("x").of_connection
