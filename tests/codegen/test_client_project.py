"""Client projects: `weenats generate --client-only` and `weenats check --client-only`."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from receipts.handlers import Receipts
from weenats import NatsServiceBuilder
from weenats_codegen.cli.main import main
from weenats_codegen.generate import check_client, generate_client
from weenats_codegen.render.client_project import python_version, runtime_requirement

Contract = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def folder(tmp_path: Path, contract_of: Contract, write_contract: Write) -> Path:
    """The folder of a small contract, `things`."""
    return write_contract(tmp_path / "schemas/things", contract_of())


def test_project_has_client_alone(folder: Path, tmp_path: Path) -> None:
    """The project has metadata, README and package; nothing of the service."""
    out = tmp_path / "client"
    generate_client(folder, out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    modules = {
        "__init__.py",
        "client.py",
        "contract_document.py",
        "errors.py",
        "models.py",
        "operations.py",
        "py.typed",
        "sync_client.py",
    }
    assert files == {"README.md", "pyproject.toml", *(f"things_client/{m}" for m in modules)}
    project = tomllib.loads((out / "pyproject.toml").read_text())["project"]
    assert project["name"] == "things-client"
    assert project["version"] == "1.0.0"
    (dependency,) = map(Requirement, project["dependencies"])
    assert dependency.name == "weenats"
    assert "ThingsHandlers" not in (out / "things_client/__init__.py").read_text()


@pytest.mark.slow
def test_check_finds_changes_of_the_contract(
    tmp_path: Path, contract_of: Contract, write_contract: Write
) -> None:
    """`check` is silent after `generate`, and shows what a new version changes."""
    folder = write_contract(tmp_path / "things", contract_of())
    out = tmp_path / "client"
    arguments = [str(folder), "--client-only", "--out", str(out), "--package", "acme-things"]
    assert main(["check", *arguments]) == 1
    assert main(["generate", *arguments]) == 0
    assert main(["check", *arguments]) == 0
    write_contract(folder, contract_of(version="1.1.0"))
    diff = check_client(folder, out, "acme-things").diff
    assert '+version = "1.1.0"' in diff
    assert main(["check", *arguments]) == 1
    assert main(["generate", *arguments]) == 0
    assert main(["check", *arguments]) == 0


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "README.md", "things_client/client.py", "things_client/handlers.py"]
)
def test_foreign_files_are_kept(folder: Path, tmp_path: Path, name: str) -> None:
    """A file that was not generated, or is a service's, stops the run; nothing is written."""
    out = tmp_path / "client"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine\n")
    with pytest.raises(FileExistsError):
        generate_client(folder, out)
    assert [path for path in out.rglob("*") if path.is_file()] == [out / name]
    assert (out / name).read_text() == "mine\n"


def test_modules_beside_the_project_are_kept(folder: Path, tmp_path: Path) -> None:
    """Generated files in the project's folder itself are not removed as outdated ones."""
    out = tmp_path / "client"
    generate_client(folder, out)
    other = out / "other.py"
    other.write_bytes((out / "things_client/client.py").read_bytes())
    report = generate_client(folder, out)
    assert report.removed == report.written == ()
    assert other.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--package", "x-client"], "--package needs --client-only"),
        (["--client-only", "--package", "No Name"], "is not a valid package name"),
        (["--client-only", "--package", "weenats"], "exists already or is reserved"),
        (["--client-only", "--package", "class"], "exists already or is reserved"),
        (["--client-only", "schemas"], "--client-only takes one contract"),
    ],
)
def test_wrong_usage_is_refused(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    """Options that do not fit together, and names that are taken, write nothing."""
    out = tmp_path / "client"
    assert main(["generate", str(folder), "--out", str(out), *arguments]) == 2
    assert " ".join(text.split()) in " ".join(capsys.readouterr().err.replace("│", "").split())
    assert not out.exists()


def test_folder_of_several_contracts_is_refused(
    tmp_path: Path,
    contract_of: Contract,
    write_contract: Write,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A client project has one contract."""
    write_contract(tmp_path / "s/a", contract_of())
    write_contract(tmp_path / "s/b", contract_of(service="others"))
    out = tmp_path / "client"
    assert main(["generate", str(tmp_path / "s"), "--client-only", "--out", str(out)]) == 1
    assert "contains 2 contracts, and a client project has one" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("1.0.0-rc.1", "1.0.0rc1"),
        ("1.0.0-alpha", "1.0.0a0"),
        ("1.0.0-nightly", "1.0.0.dev0+nightly"),
        ("1.0.0-1", "1.0.0.dev0+1"),
        ("1.0.0+Build-5", "1.0.0+build.5"),
    ],
)
def test_semantic_version_becomes_python_version(version: str, expected: str) -> None:
    """A pre-release of a contract is a pre-release of its client."""
    found = Version(python_version(version))
    assert str(found) == expected
    assert found.is_prerelease is ("-" in version.partition("+")[0])


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", "weenats>=0.1.0,<0.2"),
        ("1.4.2", "weenats>=1.4.2,<2"),
        ("0.2.0.dev1+g123", "weenats>=0.2.0.dev1,<0.3"),
    ],
)
def test_runtime_must_be_compatible(version: str, expected: str) -> None:
    """A client requires at least the runtime that it was generated with, up to the next break."""
    assert runtime_requirement(version) == expected
    assert Requirement(expected).specifier.contains(Version(version).public, prereleases=True)


def test_hostile_text_stays_text(
    tmp_path: Path, contract_of: Contract, write_contract: Write
) -> None:
    """Descriptions cannot add metadata to pyproject.toml or markup to the README."""
    text = 'x"\n[project.scripts]\nevil = "a:b" | <script> `code` [a](b)\nSecond\tline'
    contract = contract_of(description=text)
    contract["aggregates"]["thing"]["queries"]["get"]["description"] = text
    out = tmp_path / "client"
    generate_client(write_contract(tmp_path / "things", contract), out)
    project = tomllib.loads((out / "pyproject.toml").read_text())["project"]
    assert "scripts" not in project
    assert project["description"].startswith('x" [project.scripts] evil')
    assert not set(project["description"]) & set("\n\t")
    readme = (out / "README.md").read_text()
    assert "\n[project" not in readme
    assert "\\<script\\>" in readme


def _example(out: Path) -> str:
    return (out / "README.md").read_text().partition("```py\n")[2].partition("```")[0]


async def test_readme_example_runs(
    repository: Path, tmp_path: Path, nats_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The README's program runs as it is against the service of the contract."""
    out = tmp_path / "client"
    generate_client(repository / "schemas/receipts", out, "acme-receipts")
    program = _example(out).replace("nats://localhost:4222", nats_url)
    program = program.replace("asyncio.run(main())", "")
    assert "AddItem(name=" in program
    namespace: dict[str, Any] = {}
    sys.path.insert(0, str(out))
    try:
        exec(program, namespace)  # noqa: S102 - what users copy from the README
        async with NatsServiceBuilder(Receipts(), nats_url).build():
            await namespace["main"]()
    finally:
        sys.path.remove(str(out))
        for name in [name for name in sys.modules if name.startswith("acme_receipts")]:
            del sys.modules[name]
    assert "total=1.0" in capfd.readouterr().out


def test_example_has_a_typed_key(tmp_path: Path) -> None:
    """A key with a format is an object in the example; operations of the service have no key."""
    generate_client(GOLDEN / "pages/contract", tmp_path / "pages")
    readme = (tmp_path / "pages/README.md").read_text()
    assert "from uuid import UUID\n" in readme
    assert 'client.get_ledger(UUID("' in readme
    assert "| `list_tags(query: ListTagsParameters) -> ListTagsResult` |" in readme
    assert "| `iterate_list_tags(query, max_items=...)` | `Tag` |" in readme
    assert "| `iterate_list_entries(key, query, max_items=...)` | `Entry` |" in readme
    assert "`LedgersSyncClient` has the" in readme


@pytest.mark.parametrize(
    ("key", "example"),
    [
        ({"pattern": r"^[A-Z]{2}-\d{4}$"}, "AA-0000"),
        ({"pattern": "^ord_[0-9a-f]+$", "minLength": 10}, "ord_aaaaaa"),
        ({"pattern": "^(?!a)[a-c]+$"}, ""),  # looks around: no example is better than a wrong one
        ({"pattern": r"^(?!x)\w+$"}, "aaaa"),
        ({"pattern": r"\d", "examples": ["7"]}, "7"),
    ],
)
def test_example_has_a_key_that_fits(
    key: dict[str, Any], example: str, tmp_path: Path, contract_of: Contract, write_contract: Write
) -> None:
    """The key of the example matches its pattern; without such a key, no call is shown."""
    contract = contract_of()
    contract["aggregates"]["thing"]["key"] = {"type": "string", **key}
    generate_client(write_contract(tmp_path / "schemas/things", contract), tmp_path / "client")
    program = _example(tmp_path / "client")
    assert (f'client.get_thing("{example}")' in program) == bool(example)
    assert ("client.get_thing(" in program) == bool(example)


def test_example_has_nested_models(
    tmp_path: Path, contract_of: Contract, write_contract: Write
) -> None:
    """Models inside a model are made by their classes, those of libraries included."""
    place = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    address = {**place, "required": ["place"], "properties": {"place": {"$ref": "place.json"}}}
    payload = {
        **place,
        "required": ["to", "from", "kind"],
        "properties": {
            "to": {"allOf": [{"$ref": "../shared/address.json"}]},
            "from": {"$ref": "../shared/place.json"},
            "kind": {"$ref": "#/$defs/kind"},
        },
    }
    send = {"description": "Send it.", "payload": payload}
    contract = contract_of(commands={"send": send})
    contract["$defs"] = {"kind": {"type": "string", "minLength": 1}}
    folder = write_contract(tmp_path / "schemas/things", contract)
    (tmp_path / "schemas/shared").mkdir()
    for name, schema in (("address", address), ("place", place)):
        (tmp_path / f"schemas/shared/{name}.json").write_text(json.dumps(schema))
    generate_client(folder, tmp_path / "client")
    program = _example(tmp_path / "client")
    assert "import Address, Place, Send, ThingsClient\n" in program
    made = re.sub(r"\s+", "", program).replace(",)", ")")
    assert 'Send(to=Address(place=Place(city="city")),from_=Place(city="city")' in made


@pytest.mark.slow
def test_project_has_copies_of_libraries(tmp_path: Path) -> None:
    """A client package is complete: the models of libraries are inside, and are its own."""
    folder = GOLDEN / "libraries" / "contract" / "deliveries"
    generate_client(folder, tmp_path, "shop-deliveries")
    assert check_client(folder, tmp_path, "shop-deliveries").diff == ""
    sys.path.insert(0, str(tmp_path))
    try:
        package = importlib.import_module("shop_deliveries")
        assert package.Address.__module__ == "shop_deliveries.libraries.postal.models"
        assert package.Weight.__module__ == "shop_deliveries.libraries.units.models"
        assert package.Parcel.model_fields["weight"].annotation is package.Weight
    finally:
        sys.path.remove(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("shop_deliveries")]:
            del sys.modules[name]
