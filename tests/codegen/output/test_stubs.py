"""Stubs: regenerated until the user changes them, afterwards only compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.output.stubs import (
    HandlerMismatch,
    compare_handlers,
    compare_upcasters,
    is_untouched,
    mismatches,
    seal,
)
from weenats_codegen.output.writer import diff, write

STUB = '''"""The handlers of things."""

from .service import ThingsHandlers


class Things(ThingsHandlers):
    async def take(self, key: str, command: Take, context: RequestContext) -> None:
        raise UnimplementedError

    async def get_thing(self, key: str, context: RequestContext) -> Entity[Thing]:
        raise UnimplementedError
'''
NAME = "things/handlers.py"
FILES = {NAME: seal(STUB), "things/models.py": "m = 1\n"}


ReadContract = Callable[[str], Contract]


@pytest.fixture
def contract_with(
    tmp_path_factory: pytest.TempPathFactory,
    contract_of: Callable[..., dict[str, Any]],
    write_contract: Callable[..., Path],
) -> ReadContract:
    """The contract of the stub, with another name for its command."""

    def run(command: str) -> Contract:
        payload = {"type": "object", "additionalProperties": False}
        commands = {command: {"description": "Take it.", "payload": payload}}
        folder = tmp_path_factory.mktemp("contract")
        return read(write_contract(folder, contract_of(commands=commands)))

    return run


def lines(mine: str | bytes, contract: Contract) -> list[str]:
    """Return the reported differences between a handlers file and the stub."""
    content = mine if isinstance(mine, bytes) else mine.encode()
    found = compare_handlers(NAME, content, contract)
    return found.lines if found else []


def test_is_untouched_detects_any_change() -> None:
    """A stub is untouched with any line endings, and modified after any other change."""
    text = seal(STUB)
    assert is_untouched(text.encode())
    assert is_untouched(text.replace("\n", "\r\n").encode())
    assert is_untouched(text.replace("replaces it until you change it", "writes it").encode())
    first, rest = text.split("\n", 1)
    for changed in (
        text + "\n",
        text.replace("take", "grab"),
        rest,
        f"{first}0\n{rest}",
        "",
        first,
    ):
        assert not is_untouched(changed.encode())
    assert not is_untouched(text.encode() + b"\xff")


def test_unmodified_stub_is_regenerated(tmp_path: Path) -> None:
    """An unmodified stub is regenerated when the contract changes; the diff shows it."""
    write(tmp_path, FILES)
    newer = {**FILES, NAME: seal(STUB.replace("take", "grab"))}
    assert "+    async def grab(" in diff(tmp_path, newer)
    report = write(tmp_path, newer)
    assert report.written == (tmp_path / NAME,)
    assert (tmp_path / NAME).read_text() == newer[NAME]
    assert diff(tmp_path, newer) == ""
    assert write(tmp_path, newer).written == ()


def test_modified_stub_is_kept(tmp_path: Path, contract_with: ReadContract) -> None:
    """A modified stub is never overwritten; missing and unknown handlers are reported."""
    write(tmp_path, FILES)
    mine = FILES[NAME] + "# mine\n"
    (tmp_path / NAME).write_text(mine)
    newer = {**FILES, NAME: seal(STUB.replace("take", "grab"))}
    assert write(tmp_path, newer).written == ()
    assert (tmp_path / NAME).read_text() == mine
    assert diff(tmp_path, newer) == ""
    file = (tmp_path / NAME).as_posix()
    mismatch = HandlerMismatch(file, missing=("grab",), unknown=("take",))
    assert mismatches(tmp_path, [contract_with("grab")]) == (mismatch,)
    assert mismatches(tmp_path, [contract_with("take")]) == ()


def test_missing_and_unknown_handlers(contract_with: ReadContract) -> None:
    """Missing and unknown handlers are reported in one line each."""
    renamed = STUB.replace("take", "grab").replace("async def get_thing", "async def show")
    assert lines(renamed, contract_with("take")) == [
        "things/handlers.py lacks handlers of the contract: get_thing, take",
        "things/handlers.py has handlers that are not in the contract: grab, show",
    ]


@pytest.mark.parametrize(
    "mine",
    [
        STUB,
        STUB.replace("class Things(ThingsHandlers)", "class Mine(service.ThingsHandlers)"),
        STUB.replace("(ThingsHandlers)", "(Base[int], ThingsHandlers)") + "class Base: ...\n",
        # in two steps, within the file
        STUB.replace("class Things", "class Half").replace(
            "async def get_thing", "async def _get_thing"
        )
        + "class Things(Half):\n    async def get_thing(self, key, context): ...\n",
        # what is not defined but assigned
        STUB.replace("async def get_thing(self", "get_thing = other\n    async def _x(self"),
        STUB.replace("async def get_thing(self", "get_thing: Get = other\n    async def _x(self"),
        # helpers and hooks are nobody's handlers
        STUB + "    async def refresh(self) -> None: ...\n    def key_of(self, key): ...\n"
        "    async def _find(self, key, context): ...\n",
        # what another file may define
        STUB.replace("take", "_take").replace("(ThingsHandlers)", "(Elsewhere, ThingsHandlers)"),
        STUB.replace("take", "_take") + "class Both(Things, Elsewhere): ...\n",
        "class Local(Elsewhere): ...\n"
        + STUB.replace("(Things", "(Local, Things").replace("take", "_"),
        # no handlers here at all
        "from .mine import Things\n",
        "",
    ],
)
def test_possibly_complete_handlers_are_accepted(mine: str, contract_with: ReadContract) -> None:
    """Handlers that may be complete are not reported."""
    assert lines(mine, contract_with("take")) == []


@pytest.mark.parametrize(
    "mine",
    [
        # an annotation assigns nothing
        STUB.replace("async def take(self", "take: Take\n    async def _take(self"),
        # a base class of another class does not define them
        STUB.replace("take", "_take") + "class Unrelated(Elsewhere): ...\n",
    ],
)
def test_incomplete_handlers_are_reported(mine: str, contract_with: ReadContract) -> None:
    """A handler that neither the file nor a base class from elsewhere can define is reported."""
    (line,) = lines(mine, contract_with("take"))
    assert line == "things/handlers.py lacks handlers of the contract: take"


@pytest.mark.parametrize(
    "mine",
    [
        "class Things(:\n",
        b"\xff\xfe\x00",
        "x = '\0'\n",
        f"x = {'-' * 100_000}1\n",
        f"class Things({'a.' * 2_000}b): ...\n",
    ],
)
def test_unreadable_handlers_are_reported(mine: str | bytes, contract_with: ReadContract) -> None:
    """A handlers file that cannot be parsed is reported; no exception is raised."""
    (line,) = lines(mine, contract_with("take"))
    assert line.startswith("things/handlers.py cannot be parsed: ")


def test_modified_app_is_kept(tmp_path: Path, contract_with: ReadContract) -> None:
    """A modified app.py is kept, and is not checked for handlers."""
    app = "things/app.py"
    write(tmp_path, FILES | {app: seal("old = 1\n")})
    newer = FILES | {app: seal("new = 1\n")}
    assert write(tmp_path, newer).written == (tmp_path / app,)
    (tmp_path / app).write_text(STUB.replace("take", "grab"))
    assert write(tmp_path, newer).written == ()
    assert diff(tmp_path, newer) == ""
    assert mismatches(tmp_path, [contract_with("take")]) == ()


def test_handlers_are_not_executed(tmp_path: Path, contract_with: ReadContract) -> None:
    """The handlers file is parsed, not executed."""
    (tmp_path / "things").mkdir()
    (tmp_path / NAME).write_text(f"raise SystemExit(1)\n{STUB}")
    assert mismatches(tmp_path, [contract_with("take")]) == ()


def test_handlers_of_an_aggregate_in_a_stream(
    tmp_path: Path, contract_of: Callable[..., dict[str, Any]], write_contract: Callable[..., Path]
) -> None:
    """Commands and methods of events are compared; the query `get` needs no handler."""
    event = {"description": "It was taken.", "data": {"type": "object"}}
    command = {"description": "Take it.", "payload": {"type": "object"}, "emits": ["taken"]}
    document = contract_of(commands={"take": command}, events={"taken": event})
    document["aggregates"]["thing"]["store"] = "stream"
    contract = read(write_contract(tmp_path, document))

    def things(*methods: str) -> str:
        body = "".join(f"    {method}: ...\n" for method in methods)
        return f"class Things(ThingsHandlers):\n{body}"

    take = "async def take(self, state, command, context)"
    taken = "def taken(self, state, event)"
    assert lines(things(take, taken), contract) == []
    assert lines(things("def helper(self)"), contract) == [
        f"{NAME} lacks handlers of the contract: take, taken"
    ]
    old = [method.replace("take", "lose") for method in (take, taken)]
    assert lines(things(take, taken, *old), contract) == [
        f"{NAME} has handlers that are not in the contract: lose, losen"
    ]


def test_missing_upcasters_are_reported(
    tmp_path: Path, contract_of: Callable[..., dict[str, Any]], write_contract: Callable[..., Path]
) -> None:
    """An upcaster that the contract needs is reported if the file cannot have it."""
    euros = {"type": "object", "required": ["euros"], "properties": {"euros": {"type": "number"}}}
    cents = {"type": "object", "required": ["cents"], "properties": {"cents": {"type": "integer"}}}
    paid = {"description": "It was paid.", "durable": True, "data": cents}
    paid["previous"] = [{"data": euros, "upcaster": True}]
    contract = read(write_contract(tmp_path, contract_of(events={"paid": paid})))

    def problems(text: str) -> list[str]:
        found = compare_upcasters("upcasters.py", text.encode(), contract)
        return found.lines if found else []

    for complete in (
        "def paid_from_1(data): ...",
        "paid_from_1 = other",
        "from .money import paid_from_1",
        "from .money import euros as paid_from_1",
        "from .money import *",
    ):
        assert problems(complete) == []
    assert problems("def paid_from_2(data): ...") == [
        "upcasters.py lacks upcasters of the contract: paid_from_1"
    ]
    (line,) = problems("def (")
    assert line.startswith("upcasters.py cannot be parsed: ")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "upcasters.py").write_text("# none yet\n", encoding="utf-8")
    assert [each.missing for each in mismatches(tmp_path, [contract])] == [("paid_from_1",)]
