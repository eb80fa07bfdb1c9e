"""The HTML page of contracts, without a browser."""

from __future__ import annotations

import ast
import json
import re
import shlex
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from testkit.paths import GOLDEN, GOLDEN_CONTRACTS, REPOSITORY
from weenats_codegen.cli.main import main
from weenats_codegen.docs.facts import Facts
from weenats_codegen.docs.history import history
from weenats_codegen.docs.page import page
from weenats_codegen.docs.rows import rows
from weenats_codegen.docs.serve import PageServer
from weenats_codegen.generate import read_contracts
from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.loading import read

SAMPLE = REPOSITORY / "schemas/receipts"
HOSTILE = (
    """</code></pre></script><script>window.hostile=1</script><img src=x onerror="x()">'"&{{7*7}}"""
)


class Outline(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, attribute: str) -> list[str]:
        """Return the values of an attribute."""
        return [str(each[attribute]) for _, each in self.tags if attribute in each]


def contract_with(text: str) -> dict[str, Any]:
    """Return a contract that has a text wherever any text may be."""
    schema = {
        "type": "object",
        "description": text,
        "properties": {text: {"type": "string", "description": text, "pattern": "^[^\\n]*$"}},
        "required": [text],
        "examples": [{text: text}],
    }
    return {
        "service": "hostile",
        "version": "1.0.0",
        "description": text,
        "commands": {
            "do": {"description": text, "payload": schema, "errors": ["bad"], "emits": ["done"]}
        },
        "queries": {"ask": {"description": text, "result": {"enum": [text]}}},
        "events": {"done": {"description": text, "data": schema}},
        "errors": {"bad": {"code": "ABORTED", "description": text, "details": schema}},
    }


def write(folder: Path, contract: dict[str, Any]) -> Path:
    """Write a contract."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(json.dumps(contract), encoding="utf-8")
    return folder


def test_hostile_texts_are_text(tmp_path: Path) -> None:
    """No text of a contract becomes an element, an attribute or a script."""
    harmless = Outline(page([read(write(tmp_path / "a", contract_with("x")))]))
    hostile = Outline(page([read(write(tmp_path / "b", contract_with(HOSTILE)))]))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    keys = [sorted(each) for _, each in hostile.tags]
    assert keys == [sorted(each) for _, each in harmless.tags]
    assert all(link.startswith(("#", "data:,")) for link in hostile.of("href"))
    assert "49" not in hostile.of("data-search")[0]


def shown(folder: Path) -> str:
    """Return what tests call a folder of the repository."""
    return folder.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("folder", [SAMPLE, *GOLDEN_CONTRACTS], ids=shown)
def test_links_lead_somewhere(folder: Path) -> None:
    """Each link of the page leads to exactly one part of it."""
    outline = Outline(page([read(folder)]))
    ids = outline.of("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in outline.of("href") if link != "data:,"} <= set(ids)


def test_page_needs_no_network() -> None:
    """Nothing is loaded from elsewhere, and a policy forbids it."""
    text = page([read(SAMPLE)])
    assert not re.search(r"https?://(?!www\.w3\.org)", text.replace("nats://", ""))
    outline = Outline(text)
    assert outline.of("src") == []
    assert "default-src 'none'" in outline.of("content")[1]


def test_error_codes_without_scripts() -> None:
    """Each operation shows its error codes before anything that is folded."""
    text = page([read(SAMPLE)])
    start = text.index('<article id="receipts.op-finalize"')
    article = text[start : text.index("</article>", start)]
    shown = article[: article.index("<details")]
    assert "receipts.command.receipt.finalize" in shown
    for part in ("FAILED_PRECONDITION", "NOT_FOUND", "empty-receipt", "holds no items", "10 s"):
        assert part in shown


def test_calls_of_the_sample() -> None:
    """The calls on the page are valid Python and shell."""
    contract = read(SAMPLE)
    facts = Facts(contract)
    for operation in contract.operations:
        ast.parse(facts.python(operation).replace("async with", "with").replace("await ", ""))
        words = shlex.split(facts.shell(operation))
        assert words[:4] == ["weenats", "call", "receipts", operation.label]
        if operation.payload:
            assert isinstance(json.loads(words[-1]), dict)
    assert "receipts.add_item('r-1', AddItem(" in facts.python(contract.commands[0]).replace(
        "client.", "receipts."
    )
    for event in contract.events:
        ast.parse(
            f"async def main():\n{' ' * 4}" + facts.subscription(event).replace("\n", "\n    ")
        )


def test_shell_call_with_a_negative_number(tmp_path: Path) -> None:
    """An argument that begins with a minus is not an option."""
    query = {"description": "Show it.", "parameters": {"const": -5}, "result": True}
    contract = {"service": "s", "version": "1.0.0", "description": "S.", "queries": {"go": query}}
    (tmp_path / "service.json").write_text(json.dumps(contract), encoding="utf-8")
    contract_read = read(tmp_path)
    assert Facts(contract_read).shell(contract_read.queries[0]) == "weenats call s go -- -5"


def test_rows_of_nested_schemas() -> None:
    """Members of nested objects have a path, with types, limits and links."""
    bundle = read(GOLDEN / "nested/contract").bundle
    names = {row.name for name in bundle.definitions for row in rows(bundle, name)}
    assert any("." in name or "[]" in name for name in names)
    everything = read(GOLDEN / "any-schema/contract").bundle
    for name in everything.definitions:
        assert rows(everything, name)


def test_rows_of_any_schema() -> None:
    """Types are shown in words; a table has at most 200 rows."""
    schemas: Any = {
        "Odd": {
            "type": "object",
            "properties": {
                "never": False,
                "list": {"type": ["array", "null"], "items": {"type": "string"}},
                "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        },
        "Many": {"type": "object", "properties": {f"m{at}": True for at in range(300)}},
    }
    bundle = Bundle(schemas, {}, {})
    types = {row.name: "".join(piece.text for piece in row.type) for row in rows(bundle, "Odd")}
    assert types == {
        "never": "nothing",
        "list": "array of string or null",
        "map": "map of integer",
    }
    many = rows(bundle, "Many")
    assert len(many) == 201
    assert many[-1].description == "See the JSON Schema below."


def test_long_examples_are_cut(tmp_path: Path) -> None:
    """An example that is too long for the page is cut, and its length is said."""
    long = {"type": "string", "examples": ["x" * 100_000]}
    text = page(
        [
            read(
                write(
                    tmp_path,
                    contract_with("x")
                    | {"queries": {"ask": {"description": "Ask.", "result": long}}},
                )
            )
        ]
    )
    assert "x" * 100_000 not in text
    assert "(100002 characters)" in text


def test_examples_that_are_too_large_are_left_out(tmp_path: Path) -> None:
    """A page says where it has no example because the smallest one would be too large."""
    twice: Any = {"type": "string"}
    for _ in range(12):
        twice = {"type": "array", "minItems": 2, "items": twice}
    contract = contract_with("x") | {"queries": {"ask": {"description": "Ask.", "result": twice}}}
    text = page([read(write(tmp_path, contract))])
    assert text.count("No example: a value that matches this schema would be too large.") == 1


def git(folder: Path, *arguments: str) -> None:
    """Run git with a name and a date of its own."""
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *names, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_versions_from_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version of the contract that a tag has is shown once, with what changed."""
    folder = write(tmp_path / "schemas/hostile", contract_with("x"))
    assert history(folder / "service.yaml") == []
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    git(tmp_path, "tag", "v1-again")
    contract = contract_with("x")
    contract["version"] = "2.0.0"
    contract["queries"] = {"find": contract["queries"]["ask"]}
    write(folder, contract)
    git(tmp_path, "commit", "-qam", "two")
    git(tmp_path, "tag", "v2")
    (folder / "service.yaml").write_text("[")
    git(tmp_path, "commit", "-qam", "broken")
    git(tmp_path, "tag", "v3")
    write(folder, contract)
    git(tmp_path, "rm", "-rqf", "schemas")
    git(tmp_path, "commit", "-qm", "gone")
    git(tmp_path, "tag", "v4")
    write(folder, contract)
    newest, oldest = history(folder / "service.yaml")
    assert (oldest.version, newest.version, newest.tag) == ("1.0.0", "2.0.0", "v2")
    assert (newest.added, newest.removed) == (["query find"], ["query ask"])
    text = page([read(folder)])
    assert "added: query find" in text
    assert "removed: query ask" in text
    monkeypatch.setenv("PATH", "")
    assert history(folder / "service.yaml") == []


def test_command_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`weenats docs` writes the page and a document for each contract."""
    site = tmp_path / "site"
    assert main(["docs", str(SAMPLE), "--out", str(site), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert [Path(path).name for path in written] == ["index.html", "receipts.asyncapi.json"]
    assert json.loads((site / "receipts.asyncapi.json").read_text())["asyncapi"] == "3.0.0"
    assert (site / "index.html").read_text().startswith("<!doctype html>")
    assert main(["docs", str(tmp_path)]) == 1


def test_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If one file cannot be written, all are as they were, and the error names the folder."""
    old = page(())
    (tmp_path / "index.html").write_text(old)
    written: list[Path] = []
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["docs", str(SAMPLE), "--out", str(tmp_path)]) == 1
    assert f"{tmp_path}: No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == old


def test_page_of_somebody_else_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`weenats docs` replaces its own page only, and names the file that is none."""
    command = ["docs", str(SAMPLE), "--out", str(tmp_path)]
    (tmp_path / "index.html").write_text("<title>Our contracts</title>")
    assert main(command) == 1
    assert "index.html is not a page of `weenats docs`" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "index.html").unlink()
    assert main(command) == 0
    assert main(command) == 0


def get(url: str, host: str | None = None) -> str:
    """Return what a URL answers, or does under another name of its host."""
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


def test_served_page_follows_the_contract(tmp_path: Path) -> None:
    """The served page is the contract as it is now, for browsers that ask this machine by name."""
    folder = write(tmp_path / "contract", contract_with("x"))
    with PageServer([folder], 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            state = get(f"{server.url}state")
            assert 'data-reload="/state"' in get(server.url)
            assert get(f"{server.url}state") == state
            (folder / "notes.txt").write_text("no part of the contract")
            assert get(f"{server.url}state") == state
            (folder / "service.yaml").write_text("service: <b>")
            assert get(f"{server.url}state") != state
            assert "&lt;b&gt;" in get(server.url)
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(f"{server.url}other")
            for host in ("localhost:1", "[::1]"):
                assert 'data-reload="/state"' in get(server.url, host)
            for host in ("attacker.example", "attacker.example:8000", "[", ""):
                with pytest.raises(urllib.error.HTTPError, match=r"403.*http://127\.0\.0\.1:"):
                    get(f"{server.url}state", host)
        finally:
            server.shutdown()
            thread.join()


def test_served_page_without_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are removed while they are looked at are shown as a problem."""
    folder = write(tmp_path / "contract", contract_with("x"))

    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "service.yaml")

    with PageServer([folder], 0) as server:
        monkeypatch.setattr("weenats_codegen.docs.serve.read_contracts", gone)
        assert "No such file or directory" in server.page()
        monkeypatch.setattr(Path, "rglob", gone)
        assert server.state()


def test_browsers_may_go_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A connection that is reset or silent ends without a traceback; another failure has one."""
    folder = write(tmp_path / "contract", contract_with("x"))
    answers: list[BaseException] = [ConnectionResetError(), KeyError()]
    monkeypatch.setattr("weenats_codegen.docs.serve._Handler.timeout", 0.01)
    with PageServer([folder], 0) as server:
        server.daemon_threads = False  # so that they are waited for at the end
        monkeypatch.setattr(server, "state", lambda: _raise(answers.pop(0)))
        for data in (b"", b"GET /state HTTP/1.0\r\nHost: localhost\r\n\r\n"):
            with socket.create_connection(server.server_address) as connection:
                connection.sendall(data)
                server.handle_request()
                assert connection.recv(100) == b""
        assert capsys.readouterr().err == ""
        with socket.create_connection(server.server_address) as connection:
            connection.sendall(b"GET /state HTTP/1.0\r\nHost: localhost\r\n\r\n")
            server.handle_request()
            assert connection.recv(100) == b""
    assert "KeyError" in capsys.readouterr().err


def _raise(error: BaseException) -> str:
    raise error


@pytest.mark.parametrize("as_json", [False, True])
def test_serve_command(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--serve` prints the URL of the page."""
    monkeypatch.setattr(PageServer, "serve_forever", lambda self: None)
    options = ["--json"] if as_json else []
    assert main(["docs", str(SAMPLE), "--serve", "--port", "0", *options]) == 0
    assert "http://127.0.0.1:" in capsys.readouterr().out


def test_serve_command_names_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that cannot be used is an error that names it."""
    with PageServer([], 0) as other:
        port = other.server_address[1]
        assert main(["docs", str(SAMPLE), "--serve", "--port", str(port)]) == 1
    assert f"cannot use port {port}: Address already in use" in capsys.readouterr().err


def large(count: int) -> dict[str, Any]:
    """Return a contract with many operations."""
    payload = {
        "type": "object",
        "required": ["name"],
        "properties": {
            f"member{number}": {"type": "string", "maxLength": 200, "description": "A text."}
            for number in range(8)
        }
        | {"name": {"$ref": "#/$defs/name"}},
    }
    return {
        "service": "large",
        "version": "1.0.0",
        "description": "Has many operations.",
        "commands": {
            f"change-{number}": {
                "description": "Change something, in one of many ways.",
                "payload": payload,
                "result": {"$ref": "#/$defs/thing"},
                "errors": ["bad", "worse"],
                "emits": [f"changed-{number}"],
            }
            for number in range(count // 2)
        },
        "queries": {
            f"ask-{number}": {"description": "Ask for it.", "result": {"$ref": "#/$defs/thing"}}
            for number in range(count // 2)
        },
        "events": {
            f"changed-{number}": {"description": "It was changed.", "data": payload}
            for number in range(count // 2)
        },
        "errors": {
            name: {"code": "ABORTED", "description": "It is bad."} for name in ("bad", "worse")
        },
        "$defs": {
            "name": {"type": "string", "maxLength": 9, "description": "What people call it."},
            "thing": payload,
        },
    }


@pytest.mark.slow
def test_size_of_a_large_page(tmp_path: Path) -> None:
    """A page of 200 operations has less than two megabytes."""
    text = page(read_contracts([write(tmp_path, large(200))]))
    assert text.count("<article") >= 300
    assert len(text.encode()) < 2_000_000


@pytest.mark.timing
def test_time_of_a_large_page(tmp_path: Path) -> None:
    """A page of 200 operations takes less than five seconds."""
    folder = write(tmp_path, large(200))
    begin = time.perf_counter()
    page(read_contracts([folder]))
    assert time.perf_counter() - begin < 5


def test_limits_are_words(tmp_path: Path) -> None:
    """Bounds of numbers, lengths and counts are ranges in words."""
    contract = contract_with("x")
    contract["commands"]["do"]["payload"] = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 1, "maxLength": 9},
            "b": {"type": "array", "items": True, "maxItems": 5},
            "c": {"type": "number", "minimum": 0.5},
            "d": {"type": "number", "exclusiveMinimum": 0, "maximum": 7},
        },
    }
    read_contract = read(write(tmp_path, contract))
    shown = rows(read_contract.bundle, read_contract.commands[0].payload)
    assert {row.name: row.limits for row in shown} == {
        "a": "1 to 9 characters",
        "b": "at most 5 items",
        "c": "0.5 or more",
        "d": "at most 7, > 0",
    }
