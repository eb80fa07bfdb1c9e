"""The commands `diff` and `check --against`: sources, formats and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from testkit.paths import GOLDEN, SCHEMAS
from weenats_codegen.cli.main import main
from weenats_codegen.parser.diagnostics import Location
from weenats_codegen.parser.lines import line_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Git repository with the sample in its first commit, set as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("receipts", "shop"):
        copytree(SCHEMAS / name, tmp_path / "schemas" / name)
    git("init", "-q")
    commit("the sample")
    git("tag", "v1")
    return tmp_path


def git(*arguments: str) -> None:
    """Run git, whatever the settings of the user are."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], check=True, capture_output=True, env=environment)  # noqa: S607 - the one on the path


def commit(message: str) -> None:
    """Commit everything."""
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", message)


def change(project: Path, old: str, new: str, file: str = "service.yaml") -> None:
    """Replace the first occurrence of a text in a file of the contract."""
    path = project / "schemas" / "receipts" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def breaking(project: Path) -> None:
    """Change the contract so that it breaks old clients."""
    change(project, "[name, price, quantity]", "[name, price, quantity, unit]")


def result(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the JSON document that was printed."""
    return json.loads(capsys.readouterr().out)


def test_compatible(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract is compatible with itself, whatever the sources are."""
    for old, new in (
        ("schemas", "schemas/receipts"),
        ("v1:schemas", "schemas/receipts/service.yaml"),
        ("v1:./schemas/receipts", "HEAD:schemas/receipts/service.yaml"),
        ("v1:schemas/", "./schemas"),
    ):
        assert main(["diff", old, new]) == 0
        assert capsys.readouterr().out == "receipts 1.0.0 -> 1.0.0: compatible\n"


def test_breaking(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A breaking change is shown with its place and a document that proves it; the code is 1."""
    breaking(project)
    change(project, "version: 1.0.0", "version: 2.0.0")
    assert main(["diff", "v1:schemas/receipts", "schemas/receipts"]) == 1
    assert capsys.readouterr().out == (
        "receipts 1.0.0 -> 2.0.0: breaking\n"
        "  error request-narrowed (old client): the new version refuses a request without the "
        'member "unit"\n'
        "    schemas/receipts/service.yaml#/aggregates/receipt/commands/add-item/payload/required\n"
        "    concerns: add-item\n"
        "    accepted by the old version, refused by the new one: "
        '{"name": "a", "price": 0, "quantity": 1}\n'
    )


def test_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints all of it as one document, in which revisions are named as given."""
    breaking(project)
    assert main(["diff", "v1:schemas/receipts", "schemas", "--json"]) == 1
    document = result(capsys)
    assert document["compatible"] is False
    [contract] = document["contracts"]
    first, *_ = contract["findings"]
    assert first["rule"] == "request-narrowed"
    assert first["breaks"] == "old client"
    assert first["document"] == {"name": "a", "price": 0, "quantity": 1}
    place = "schemas/receipts/service.yaml#/aggregates/receipt/commands/add-item/payload/required"
    assert first["location"] == place
    assert first["oldLocation"] == f"v1:{place}"
    assert {each["rule"] for each in contract["findings"]} == {
        "request-narrowed", "version-not-raised"
    }  # fmt: skip


def test_sarif(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--format sarif` prints a log whose results have rules, files and lines."""
    breaking(project)
    assert main(["diff", "v1:schemas", "schemas", "--format", "sarif"]) == 1
    log = result(capsys)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    first = run["results"][0]
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert first["level"] == "error"
    [place] = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "schemas/receipts/service.yaml"},
        "region": {"startLine": 16},
    }


def test_removed_operation_in_a_pull_request(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is gone is shown in the new file, whose name may have any character."""
    (project / "schemas").rename(project / "schemas 2")
    commit("a space")
    git("tag", "v2")
    file = project / "schemas 2" / "receipts" / "service.yaml"
    file.write_text(file.read_text().replace("      void-receipt:\n", "      annul:\n"))
    assert main(["check", "schemas 2", "--against", "v2", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "::error file=schemas 2/receipts/service.yaml,line=11,title=operation-removed"
    )
    assert main(["check", "schemas 2", "--against", "v2", "--format", "sarif"]) == 1
    [first, *_] = result(capsys)["runs"][0]["results"]
    [place] = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "schemas%202/receipts/service.yaml"},
        "region": {"startLine": 11},
    }


def test_github(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--format github` prints one annotation a line, escaped."""
    breaking(project)
    change(project, "maxLength: 500", "maxLength: 600")
    assert main(["check", "--against", "v1", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "::error file=schemas/receipts/service.yaml,line=16,title=request-narrowed (old client)::"
        'the new version refuses a request without the member "unit"%0Aconcerns: add-item%0A'
        "accepted by the old version, refused by the new one: "
        '{"name": "a", "price": 0, "quantity": 1}'
    )
    assert {line.split(" ")[0] for line in lines} == {"::error", "::notice"}
    assert any(line.endswith("...") for line in lines)


def test_check_against_revision(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --against REV` compares with the same folders there; new contracts break nobody."""
    assert main(["check", "--against", "v1"]) == 0
    copytree(project / "schemas" / "receipts", project / "schemas" / "bills")
    service = project / "schemas" / "bills" / "service.yaml"
    service.write_text(service.read_text().replace("service: receipts", "service: bills"))
    breaking(project)
    capsys.readouterr()
    assert main(["check", "--against", "HEAD", "--json"]) == 1
    document = result(capsys)
    assert [each["service"] for each in document["contracts"]] == ["bills", "receipts"]
    assert document["contracts"][0]["findings"][0]["rule"] == "service-added"


def test_check_against_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --against FOLDER` compares with the contracts of a folder."""
    copytree(project / "schemas", project / "released")
    breaking(project)
    assert main(["check", "--against", "released"]) == 1
    assert "request-narrowed" in capsys.readouterr().out


@pytest.mark.slow
def test_working_directory_below_the_root(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths of revisions are relative to the repository, or with `./` to the working directory."""
    breaking(project)
    monkeypatch.chdir(project / "schemas")
    assert main(["diff", "v1:schemas/receipts", "receipts"]) == 1
    assert main(["diff", "v1:./receipts", "receipts"]) == 1
    assert main(["check", "receipts", "--against", "v1"]) == 1
    assert capsys.readouterr().out.count("request-narrowed") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "nowhere", "schemas"], "nowhere: does not exist"),
        (["diff", "v9:schemas", "schemas"], "there is no git revision v9"),
        (["diff", "haed:schemas", "schemas"], "there is no git revision haed; did you mean HEAD?"),
        (
            ["diff", "v1:other", "schemas"],
            "there are no files at v1:other; known are v1:schemas, v1:schemas/receipts",
        ),
        (
            ["diff", "v1:schemas/reciepts", "schemas"],
            "no files at v1:schemas/reciepts; did you mean v1:schemas/receipts?",
        ),
        (["check", "--against", "haed"], "nor a git revision; did you mean HEAD?"),
        (["diff", "schemas/receipts/receipt.schema.json", "schemas"], "is not a contract"),
        (["check", "--against", ""], "a version to compare with is empty"),
        (["diff", "", "schemas"], "a version to compare with is empty"),
        (["check", "--against", "v9"], "v9 is neither a folder nor a git revision"),
        (["check", "empty", "--against", "v1"], "contains no contract"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read is an error with code 2, so that 1 always means a breaking change."""
    (project / "empty").mkdir()
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_unreadable_file_is_not_breaking(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system refuses is code 2, since 1 means that a change breaks somebody."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "schemas/receipts")

    monkeypatch.setattr("weenats_codegen.cli.diff.opened", refuse)
    assert main(["diff", "v1:schemas", "schemas"]) == 2
    assert capsys.readouterr().err == "weenats: schemas/receipts: Permission denied\n"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("output", ["sarif", "github"])
def test_full_disk_is_not_breaking(output: str, project: Path) -> None:
    """A report that cannot be written is code 2 as well."""
    breaking(project)
    command = [sys.executable, "-m", "weenats_codegen", "diff", "v1:schemas", "schemas"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*command, "--format", output], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "weenats: cannot write to standard output: No space left on device\n"
    )


def test_invalid_old_contract(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems of a contract in a revision are named by that revision."""
    change(project, "version: 1.0.0", "version: one")
    commit("a mistake")
    assert main(["diff", "HEAD:schemas/receipts", "v1:schemas/receipts"]) == 2
    assert "HEAD:schemas/receipts/service.yaml#/version" in capsys.readouterr().err


def test_link_out_of_a_revision(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in a revision that leads elsewhere is refused."""
    (project / "schemas" / "receipts" / "more.json").symlink_to("/etc/hostname")
    commit("a link")
    assert main(["diff", "HEAD:schemas/receipts", "schemas/receipts"]) == 2
    assert "is a link that leads out of the repository" in capsys.readouterr().err


def test_repository_without_a_commit(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first commit no revision can be meant, HEAD neither."""
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    git("init", "-q", ".")
    for revision in ("HEAD", "haed"):
        assert main(["diff", f"{revision}:schemas", str(project / "schemas")]) == 2
        expected = f"weenats: there is no git revision {revision}\n"
        assert capsys.readouterr().err == expected


def test_outside_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Revisions need a repository and git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["diff", "v1:schemas", "schemas"]) == 2
    assert "not a git repository" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["diff", "v1:schemas", "schemas"]) == 2
    assert "git revisions need git" in capsys.readouterr().err


def test_contract_outside_of_the_repository(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder outside of the repository has no revisions."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("receipts", "shop"):
        copytree(SCHEMAS / name, elsewhere / name)
    assert main(["check", str(elsewhere), "--against", "v1"]) == 2
    assert "is not in the git repository" in capsys.readouterr().err


@pytest.mark.slow
def test_renamed_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract in a renamed folder is compared with what it was in the old one."""
    (project / "other").mkdir()
    (project / "other" / "service.yaml").write_text("service: [")
    commit("a file that is not a contract")
    (project / "other" / "service.yaml").unlink()
    breaking(project)
    (project / "schemas" / "receipts").rename(project / "schemas" / "bills")
    assert main(["check", "schemas/bills", "--against", "HEAD"]) == 1
    assert "error request-narrowed" in capsys.readouterr().out
    assert main(["new", "tickets"]) == 0
    capsys.readouterr()
    assert main(["check", "schemas/tickets", "--against", "HEAD"]) == 0
    assert "service-added" in capsys.readouterr().out


@pytest.mark.slow
def test_attributes_of_git(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of revisions are those that were committed, links in them included."""
    (project / ".gitattributes").write_text("* export-ignore export-subst\n")
    (project / "linked").symlink_to("schemas")
    change(project, "Keeps receipts", "Keeps $Format:%H$")
    commit("attributes")
    assert main(["diff", "HEAD:schemas/receipts", "schemas/receipts"]) == 0
    assert main(["diff", "HEAD:.", "schemas/receipts"]) == 2  # a folder of folders of contracts
    assert main(["diff", "HEAD:./schemas", "schemas"]) == 0
    assert "weenats-" not in capsys.readouterr().err


def test_repository_in_a_repository(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract in a submodule is not one that the outer repository does not know."""
    (project / "sub").mkdir()
    git("init", "-q", "sub")
    copytree(project / "schemas", project / "sub" / "schemas")
    assert main(["check", "sub/schemas", "--against", "v1"]) == 2
    assert f"is in the git repository {project.resolve() / 'sub'}" in capsys.readouterr().err


def test_only_the_version_is_wrong(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody breaks, the verdict names the version, and the exit code is 1."""
    change(project, "timeout: 10 ", "timeout: 20 ")
    assert main(["check", "--against", "v1"]) == 1
    assert capsys.readouterr().out.startswith("receipts 1.0.0 -> 1.0.0: wrong version\n")


def test_format_needs_against(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --against, `check` has no formats but --json."""
    assert main(["check", "--format", "sarif"]) == 2
    assert "--format needs --against" in capsys.readouterr().err


def test_lines(tmp_path: Path) -> None:
    """The line of a place that does not exist is that of what is around it."""
    file = tmp_path / "a.yaml"
    file.write_text("a:\n  - x\n  - b/c: 1\n    d: 2\n")
    assert line_of(Location(str(file))) == 1
    assert line_of(Location(str(file), "/a/1/b~1c")) == 3
    assert line_of(Location(str(file), "/a/1/d/e")) == 4
    assert line_of(Location(str(file), "/a/7")) == 1
    assert line_of(Location(str(file), "/b")) == 1
    assert line_of(Location(str(tmp_path / "none.yaml"))) is None
    file.write_text("a: [")
    assert line_of(Location(str(file))) is None
    file.write_text("")
    assert line_of(Location(str(file))) is None


@pytest.mark.slow
def test_contract_of_a_revision_with_libraries(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The libraries that a contract of a revision uses are read from that revision, too."""
    copytree(GOLDEN / "libraries/contract", project / "schemas", dirs_exist_ok=True)
    commit("libraries")
    git("tag", "v2")
    assert main(["diff", "v2:schemas/deliveries", "schemas/deliveries"]) == 0
    assert main(["diff", "v2:schemas/deliveries/service.yaml", "v2:schemas/deliveries"]) == 0
    assert main(["check", "schemas/deliveries", "--against", "v2"]) == 0
    change(project, '"minLength": 1', '"minLength": 2', "../postal/address.json")
    capsys.readouterr()
    assert main(["check", "schemas/deliveries", "--against", "v2", "--json"]) == 1
    [contract] = result(capsys)["contracts"]
    assert any("postal" in finding["location"] for finding in contract["findings"])
