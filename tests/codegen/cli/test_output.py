"""Output of the commands where standard output is not UTF-8, is closed, or is full."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from testkit.foreign_service import foreign_service, micro
from weenats_codegen.cli.main import main
from weenats_codegen.cli.output import one_line

pytestmark = pytest.mark.slow

WEENATS = [sys.executable, "-m", "weenats_codegen"]
ENCODINGS = ("ascii", "cp1252", "utf-16")
TEXT = "Tea → cup, é, 茶, 😀"


@dataclass
class Done:
    """How a command ended, and the bytes that it wrote."""

    code: int
    out: bytes
    err: bytes


def run(*arguments: str, encoding: str, cwd: Path | None = None) -> Done:
    """Run `weenats` in this process with streams of an encoding."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        contextlib.chdir(cwd or "."),
        contextlib.redirect_stdout(io.TextIOWrapper(out, encoding)),
        contextlib.redirect_stderr(io.TextIOWrapper(err, encoding)),
    ):
        code = main([*arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose generated package is not up to date, with text of many languages."""
    folder = tmp_path_factory.mktemp("stale")
    assert main(["new", "things", "--root", str(folder)]) == 0
    contract = folder / "schemas/things/service.yaml"
    head, _, tail = contract.read_text(encoding="utf-8").partition("description: ")
    contract.write_text(f"{head}description: {TEXT} {tail}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("as_json", [False, True])
def test_check_in_any_encoding(encoding: str, as_json: bool, stale: Path) -> None:
    """A diff is printed in any encoding; as JSON it keeps its text."""
    arguments = ["check", *(["--json"] if as_json else [])]
    done = run(*arguments, encoding=encoding, cwd=stale)
    told = done.err.decode(encoding)
    assert (done.code, told.count("\n")) == (1, 1)
    assert "generated files in generated are stale" in told
    shown = done.out.decode(encoding)
    assert (TEXT in (json.loads(shown)["diff"] if as_json else shown)) or (
        encoding != "utf-16" and "\\u8336" in shown
    )


def test_locale_without_utf_8(stale: Path) -> None:
    """The C locale without its UTF-8 mode is like any other encoding."""
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [*WEENATS, "check"],
        env={**os.environ, **environment},
        cwd=stale,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"\\u8336" in done.stdout


def test_argument_that_is_not_text(stale: Path) -> None:
    """An argument that the locale cannot decode is escaped in the error."""
    done = run("check", "\udcc3\udca9", encoding="ascii", cwd=stale)
    assert done.code == 1
    assert b"\\udcc3\\udca9" in done.err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_services_in_any_encoding(encoding: str, nats_url: str) -> None:
    """Text of a service is escaped where the encoding lacks it; JSON keeps it."""
    with foreign_service(nats_url, micro(instance=TEXT)):
        shown = run("services", "odd", "--servers", nats_url, encoding=encoding)
        done = run("services", "odd", "--json", "--servers", nats_url, encoding=encoding)
    assert (shown.code, shown.err.decode(encoding)) == (0, "")
    assert "odd" in shown.out.decode(encoding)
    (found,) = json.loads(done.out.decode(encoding))
    assert found["id"] == TEXT


def test_payload_from_stdin_is_utf_8(receipts_url: str) -> None:
    """A payload is UTF-8, whatever the encoding of the streams is."""
    payload = json.dumps({"name": TEXT, "price": 1, "quantity": 1}, ensure_ascii=False)
    done = subprocess.run(
        [*WEENATS, "call", "receipts", "add-item", "utf", "-", "--json", "--servers", receipts_url],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        input=payload.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["result"]["items"][0]["name"] == TEXT


def test_closed_pipe_is_silent() -> None:
    """A reader that is gone ends the help with 1 and without a message or a traceback."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            [*WEENATS, "--help"],
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"Broken" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_streams_that_were_closed(closed: str, stale: Path) -> None:
    """A command without standard output or standard error does its work nevertheless."""
    command = f'"{sys.executable}" -m weenats_codegen explain receipts.handlers:Receipts {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=stale, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_closed_stdin_is_wrong_usage() -> None:
    """A payload from standard input that is closed is wrong usage."""
    command = f'"{sys.executable}" -m weenats_codegen call receipts get r-1 - <&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, check=False, timeout=60, text=True
    )
    assert done.returncode == 2
    assert "standard input is closed" in done.stderr


def test_long_lines_are_cut() -> None:
    """A warning or an error has a bounded length."""
    assert len(one_line("x" * 100_000)) < 3000
