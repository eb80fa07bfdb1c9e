"""Stubs: the generator's until they are changed, and told apart from their contract afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from weenats_codegen.output.stubs import Gap, gap, is_untouched, seal
from weenats_codegen.output.writer import diff, gaps, write

STUB = '''"""The handlers of things."""

from .service import ThingsHandlers


class Things(ThingsHandlers):
    async def take(self, key: str, command: Take, context: RequestContext) -> None:
        raise UnimplementedError

    async def get(self, key: str, context: RequestContext) -> Entity[Thing]:
        raise UnimplementedError
'''
NAME = "things/handlers.py"
FILES = {NAME: seal(STUB), "things/models.py": "m = 1\n"}


def lines(mine: str | bytes) -> list[str]:
    """Return what is told of the handlers of a user."""
    found = gap(NAME, mine if isinstance(mine, bytes) else mine.encode(), STUB)
    return found.lines if found else []


def test_a_stub_is_untouched_until_a_byte_of_it_changes() -> None:
    """As it was written, with the line ends of any system; and not after any change."""
    text = seal(STUB)
    assert is_untouched(text.encode())
    assert is_untouched(text.replace("\n", "\r\n").encode())
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


def test_an_untouched_stub_is_written_anew(tmp_path: Path) -> None:
    """A contract that changes before its stub does takes the stub along; `check` sees it."""
    write(tmp_path, FILES)
    newer = {**FILES, NAME: seal(STUB.replace("take", "grab"))}
    assert "+    async def grab(" in diff(tmp_path, newer)
    report = write(tmp_path, newer)
    assert report.written == (tmp_path / NAME,)
    assert (tmp_path / NAME).read_text() == newer[NAME]
    assert diff(tmp_path, newer) == ""
    assert write(tmp_path, newer).written == ()


def test_a_stub_that_was_changed_stays(tmp_path: Path) -> None:
    """One byte makes it its user's for good, seal or not; what it lacks is told."""
    write(tmp_path, FILES)
    mine = FILES[NAME] + "# mine\n"
    (tmp_path / NAME).write_text(mine)
    newer = {**FILES, NAME: seal(STUB.replace("take", "grab"))}
    assert write(tmp_path, newer).written == ()
    assert (tmp_path / NAME).read_text() == mine
    assert diff(tmp_path, newer) == ""
    file = (tmp_path / NAME).as_posix()
    assert gaps(tmp_path, newer) == (Gap(file, missing=("grab",), unknown=("take",)),)
    assert gaps(tmp_path, FILES) == ()


def test_what_is_missing_and_what_is_unknown_are_a_line_each() -> None:
    """The contract asks for some methods, the file has others."""
    renamed = STUB.replace("take", "grab").replace("async def get", "async def show")
    assert lines(renamed) == [
        "things/handlers.py lacks handlers of the contract: get, take",
        "things/handlers.py has handlers that the contract does not know: grab, show",
    ]


@pytest.mark.parametrize(
    "mine",
    [
        STUB,
        STUB.replace("class Things(ThingsHandlers)", "class Mine(service.ThingsHandlers)"),
        STUB.replace("(ThingsHandlers)", "(Base[int], ThingsHandlers)") + "class Base: ...\n",
        # in two steps, within the file
        STUB.replace("class Things", "class Half").replace("async def get", "async def _get")
        + "class Things(Half):\n    async def get(self, key, context): ...\n",
        # what is not defined but assigned
        STUB.replace("async def get(self", "get = other\n    async def _x(self"),
        # helpers and hooks are nobody's handlers
        STUB + "    async def refresh(self) -> None: ...\n    def key_of(self, key): ...\n"
        "    async def _find(self, key, context): ...\n",
        # what another file may define
        STUB.replace("take", "_take").replace("(ThingsHandlers)", "(Elsewhere, ThingsHandlers)"),
        # no handlers here at all
        "from .mine import Things\n",
        "",
    ],
)
def test_handlers_that_may_be_right_are_let_be(mine: str) -> None:
    """Nothing is told that is not certain."""
    assert lines(mine) == []


@pytest.mark.parametrize("mine", ["class Things(:\n", b"\xff\xfe\x00", "x = '\0'\n"])
def test_what_is_no_python_is_told(mine: str | bytes) -> None:
    """A file that cannot be parsed is a line, not an error; it is never run."""
    (line,) = lines(mine)
    assert line.startswith("things/handlers.py cannot be read: ")


def test_a_program_that_was_changed_stays(tmp_path: Path) -> None:
    """app.py is a stub as well; nobody asks which handlers it has."""
    app = "things/app.py"
    write(tmp_path, FILES | {app: seal("old = 1\n")})
    newer = FILES | {app: seal("new = 1\n")}
    assert write(tmp_path, newer).written == (tmp_path / app,)
    (tmp_path / app).write_text(STUB.replace("take", "grab"))
    assert write(tmp_path, newer).written == ()
    assert (diff(tmp_path, newer), gaps(tmp_path, newer)) == ("", ())


def test_handlers_are_never_run(tmp_path: Path) -> None:
    """What stands in the file is read as text."""
    (tmp_path / "things").mkdir()
    (tmp_path / NAME).write_text(f"raise SystemExit(1)\n{STUB}")
    assert gaps(tmp_path, FILES) == ()
