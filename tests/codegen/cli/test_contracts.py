"""The `new`, `generate` and `check` commands, with text and JSON output."""

import json
import re
from pathlib import Path

import pytest

from weenats_codegen.cli.main import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty temporary folder, set as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_new_generate_check(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new`, `generate` and `check` in sequence create an up-to-date package."""
    assert main(["new", "orders"]) == 0
    assert "schemas/orders/service.yaml" in capsys.readouterr().out
    assert main(["generate"]) == 0
    assert "generated/orders/client.py" in capsys.readouterr().out
    assert main(["check"]) == 0
    assert "fresh" in capsys.readouterr().out
    assert (project / "generated/orders/handlers.py").is_file()


@pytest.mark.parametrize("name", ["orders", "harbour", "my-stores", "news", "class"])
def test_new_prints_working_next_steps(
    name: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next steps printed by `new` match the output of `generate`, for any name."""
    main(["new", name])
    steps = capsys.readouterr().out
    main(["generate"])
    (handlers,) = project.glob("generated/*/handlers.py")
    (stub,) = re.findall(r"^class (\w+)\(", handlers.read_text(), re.MULTILINE)
    assert f"fill in {handlers.relative_to(project).as_posix()}\n" in steps
    assert f"weenats run {handlers.parent.name}.handlers:{stub} --embedded\n" in steps
    program = handlers.with_name("app.py")
    assert "\ndef builder() -> NatsServiceBuilder:\n" in program.read_text()
    assert f"to {program.relative_to(project).as_posix()}\n" in steps
    assert steps.endswith(f"weenats run {handlers.parent.name}.app:builder\n")


def test_paths_are_no_markup(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths with brackets are shown as they are."""
    out = "[red]a[/]b"
    assert main(["new", "orders", "--root", out]) == 0
    assert f"{out}/schemas/orders/service.yaml" in capsys.readouterr().out
    assert main(["generate", f"{out}/schemas", "--out", out]) == 0
    assert f"{out}/orders/client.py" in capsys.readouterr().out
    assert main(["docs", f"{out}/schemas", "--out", out]) == 0
    assert f"{out}/index.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ("generate",),
        ("check",),
        ("lint",),
        ("docs",),
        ("mock",),
        ("permissions", "--role", "client"),
        ("diff", "schemas/orders"),
        ("streams", "plan"),
        ("dead-letters", "list"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("project")
def test_similar_folder_is_suggested(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command names the contract that a user may mean by a folder that does not exist."""
    main(["new", "orders"])
    capsys.readouterr()
    for wrong in ("schemas/ordres", "schemas/Orders/service.yml", "orders"):
        assert main([*command, wrong]) != 0
        told = f"weenats: {wrong}: does not exist; did you mean schemas/orders?\n"
        assert capsys.readouterr().err == told


def test_folder_that_is_a_link_to_itself(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder for output that is a link to itself is an error that names it, and no bug."""
    (project / "loop").symlink_to("loop")
    main(["new", "orders"])
    capsys.readouterr()
    assert main(["generate", "--out", "loop"]) == 1
    assert capsys.readouterr().err.startswith("weenats: loop: cannot write to the folder")


def test_generate_twice_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run leaves every file unchanged."""
    main(["new", "orders"])
    main(["generate"])
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["generate", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["written"] == report["removed"] == []
    assert before == {p: p.stat().st_mtime_ns for p in project.rglob("*") if p.is_file()}


@pytest.mark.parametrize("client", [[], ["schemas/orders", "--out", "generated", "--client-only"]])
def test_generate_warns_of_unknown_dialects(
    client: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `$schema` that is not known is a warning, and the package is written."""
    main(["new", "orders"])
    (project / "schemas/orders/part.json").write_text('{"$schema": "https://example.com/private"}')
    contract = project / "schemas/orders/service.yaml"
    text = contract.read_text()
    contract.write_text(
        text.replace("state: {$ref: order.schema.json}", "state: {$ref: part.json}")
    )
    capsys.readouterr()
    assert main(["generate", *client]) == 0
    shown = capsys.readouterr()
    assert "/client.py" in shown.out
    assert shown.err.startswith("weenats: schemas/orders/part.json#/$schema: ")
    assert "it is read as 2020-12" in shown.err


def test_generate_reports_removed_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no longer generated is removed and reported."""
    main(["new", "orders"])
    main(["generate"])
    stale = project / "generated/orders/old.py"
    stale.write_text((project / "generated/orders/client.py").read_text())
    capsys.readouterr()
    assert main(["generate"]) == 0
    shown = capsys.readouterr().out
    assert "removed  generated/orders/old.py" in shown
    assert "files unchanged" in shown
    assert not stale.exists()


def test_check_prints_diff_of_stale_files(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A modified generated file is shown as a diff, and the exit code is 1."""
    main(["new", "orders"])
    main(["generate"])
    client = project / "generated/orders/client.py"
    client.write_text(client.read_text() + "# mine\n")
    capsys.readouterr()
    assert main(["check"]) == 1
    shown = capsys.readouterr()
    assert "-# mine" in shown.out
    assert shown.err == "weenats: generated files in generated are stale: run `weenats generate`\n"


def test_check_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the result contains the `fresh` flag and the diff."""
    main(["new", "orders"])
    capsys.readouterr()
    assert main(["check", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["fresh"] is False
    assert "client.py" in result["diff"]
    assert project.is_dir()


@pytest.mark.parametrize("as_json", [False, True])
def test_failing_check_never_says_fresh(
    project: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """`check` says fresh only if it exits with 0: not for missing handlers or a killed run."""
    main(["new", "orders"])
    main(["generate"])
    arguments = ["check", *["--json"] * as_json]
    journal = project / "generated/.weenats-stage/journal.json"
    journal.parent.mkdir()
    journal.write_text("[]")
    capsys.readouterr()
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert "fresh" not in shown.out.replace('"fresh": false', "")
    interrupted = "weenats: `weenats generate` was interrupted in generated: run it again\n"
    assert shown.err == interrupted
    main(["generate"])
    handlers = project / "generated/orders/handlers.py"
    handlers.write_text(re.sub(r"(?s)\n    @override.*", "\n    pass\n", handlers.read_text()))
    capsys.readouterr()
    assert main(arguments) == 1
    assert "fresh" not in capsys.readouterr().out.replace('"fresh": false', "")


def test_new_writes_the_sample(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new --sample` writes the contract of the guides; a name beside it is wrong usage."""
    assert main(["new", "--sample"]) == 0
    assert "weenats run receipts.handlers:Receipts --embedded" in capsys.readouterr().out
    assert "add-item:" in (project / "schemas/receipts/service.yaml").read_text()
    assert main(["new", "orders", "--sample"]) == main(["new"]) == 2
    assert "use either NAME or --sample" in capsys.readouterr().err


def test_empty_folder_points_to_new(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`generate` and `check` without any contract say how to begin."""
    for verb in ("generate", "check"):
        assert main([verb]) == 1
        assert "begin with `weenats new NAME`" in capsys.readouterr().err
    assert list(project.iterdir()) == []


def test_generate_lists_contract_problems(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid contract is rejected with one line per problem, and nothing is written."""
    main(["new", "orders", "--json"])
    assert len(json.loads(capsys.readouterr().out)["written"]) >= 2
    contract = project / "schemas/orders/service.yaml"
    text = contract.read_text().replace("version: 1.0.0", "version: one\nauthor: me")
    contract.write_text(text)
    assert main(["generate"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("weenats: schemas/orders/service.yaml#/") for line in lines)
    assert not (project / "generated").exists()


def test_generate_without_contract_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a contract is an error."""
    (project / "schemas").mkdir()
    assert main(["generate"]) == 1
    assert capsys.readouterr().err.startswith("weenats: schemas")


def test_unmodified_stub_is_regenerated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unmodified handlers stub is regenerated when the contract changes."""
    main(["new", "orders"])
    main(["generate"])
    rename_operation(project, "rename", "retitle")
    assert main(["check"]) == 1
    assert "+    async def retitle(" in capsys.readouterr().out
    assert main(["generate"]) == 0
    assert "generated/orders/handlers.py" in capsys.readouterr().out
    stub = (project / "generated/orders/handlers.py").read_text()
    assert "async def retitle(" in stub
    assert "async def rename(" not in stub


@pytest.mark.parametrize(
    ("verb", "status", "more"),
    [
        ("generate", 0, []),
        (
            "check",
            1,
            ["weenats: services cannot start with generated/orders/handlers.py"],
        ),
    ],
)
def test_outdated_handlers_are_reported(
    verb: str, status: int, more: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing and unknown handlers are reported in one line each, and `check` fails."""
    main(["new", "orders"])
    main(["generate"])
    handlers = project / "generated/orders/handlers.py"
    mine = handlers.read_text().replace("raise UnimplementedError", "raise NotImplementedError", 1)
    handlers.write_text(mine)
    rename_operation(project, "rename", "retitle")
    main(["generate"])
    capsys.readouterr()
    assert main([verb]) == status
    unknown = "has handlers that are not in the contract: rename"
    assert capsys.readouterr().err.splitlines() == [
        "weenats: generated/orders/handlers.py lacks handlers of the contract: retitle",
        f"weenats: generated/orders/handlers.py {unknown}",
        *more,
    ]
    assert handlers.read_text() == mine
    assert main([verb, "--json"]) == status
    assert json.loads(capsys.readouterr().out)["gaps"] == [
        {
            "file": "generated/orders/handlers.py",
            "missing": ["retitle"],
            "unknown": ["rename"],
            "unreadable": "",
            "what": "handlers",
        }
    ]


def rename_operation(project: Path, old: str, new: str) -> None:
    """Rename an operation in the contract."""
    contract = project / "schemas/orders/service.yaml"
    contract.write_text(contract.read_text().replace(f"  {old}:\n", f"  {new}:\n"))
