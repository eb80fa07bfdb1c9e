"""Packages that were generated and are not needed any more: removed, but no file of the user."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from weenats_codegen.generate import check, check_client, generate, generate_client
from weenats_codegen.parser.diagnostics import ContractError

Contract = Callable[..., dict[str, Any]]
SCHEMAS: Final = Path("schemas")
OUT: Final = Path("generated")
CLIENT: Final = Path("client")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the test works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(contract_of: Contract) -> Callable[..., None]:
    """Function that writes the contract of a service whose aggregate has a state."""

    def make(service: str, state: dict[str, Any], folder: str = "") -> None:
        put(f"schemas/{folder or service}/service.json", contract_of(state, service=service))

    return make


def put(name: str, content: Any) -> None:
    """Write a JSON file."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def library(name: str, other: str = "") -> None:
    """Write a library of one schema, which may use another library."""
    inner = {"$ref": f"../{other}/part.json"} if other else {"type": "string"}
    schema = {"type": "object", "additionalProperties": False, "properties": {"a": inner}}
    put(f"schemas/{name}/part.json", schema)


def packages() -> set[str]:
    """Return the names of the packages."""
    return {path.name for path in OUT.iterdir() if path.is_dir()}


def test_unused_libraries_are_removed(write: Callable[..., None]) -> None:
    """Libraries that no contract uses any more go, with those that only they use and caches."""
    library("inner")
    library("outer", "inner")
    write("orders", {"$ref": "../outer/part.json"})
    generate([SCHEMAS], OUT)
    assert packages() == {"orders", "outer", "inner"}
    (OUT / "outer/__pycache__").mkdir()
    (OUT / "outer/__pycache__/models.cpython-311.pyc").touch()
    write("orders", {"$ref": "../inner/part.json"})
    assert "--- generated/outer/py.typed is outdated" in check([SCHEMAS], OUT).diff
    report = generate([SCHEMAS], OUT)
    assert OUT / "outer/models.py" in report.removed
    assert packages() == {"orders", "inner"}
    write("orders", {"type": "string"})
    generate([SCHEMAS], OUT)
    assert packages() == {"orders"}
    assert check([SCHEMAS], OUT).diff == ""


def test_libraries_of_other_contracts_are_kept(write: Callable[..., None]) -> None:
    """A run for one contract keeps the packages of others, and the libraries that they use."""
    library("inner")
    library("outer", "inner")
    write("orders", {"$ref": "../outer/part.json"})
    write("parcels", {"type": "string"})
    generate([SCHEMAS], OUT)
    generate([SCHEMAS / "parcels"], OUT)
    assert check([SCHEMAS / "parcels"], OUT).diff == ""
    assert packages() == {"orders", "parcels", "outer", "inner"}


def test_packages_of_removed_contracts_are_removed(write: Callable[..., None]) -> None:
    """The package of a contract that is gone or renamed goes; what the user wrote there stays."""
    library("shared")
    write("orders", {"$ref": "../shared/part.json"})
    write("parcels", {"type": "string"})
    generate([SCHEMAS], OUT)
    (OUT / "orders/handlers.py").write_text("# mine\n")
    (OUT / "orders/notes.txt").write_text("mine\n")
    shutil.rmtree(SCHEMAS / "orders")
    write("boxes", {"type": "string"}, folder="parcels")
    assert "generated/orders/client.py" in check([SCHEMAS], OUT).diff
    generate([SCHEMAS], OUT)
    assert packages() == {"orders", "boxes"}
    assert {path.name for path in (OUT / "orders").iterdir()} == {"handlers.py", "notes.txt"}
    assert check([SCHEMAS], OUT).diff == ""


@pytest.mark.parametrize("command", [generate, check])
def test_package_of_an_empty_folder_is_kept(write: Callable[..., None], command: Any) -> None:
    """A submodule that is not checked out is an empty folder: its contract is not gone."""
    write("orders", {"type": "string"})
    write("parcels", {"type": "string"})
    generate([SCHEMAS], OUT)
    (SCHEMAS / "orders/service.json").rename(SCHEMAS / "orders/.git")
    with pytest.raises(OSError, match="is empty: check out its submodule, or remove the folder"):
        command([SCHEMAS], OUT)
    assert (OUT / "orders/client.py").is_file()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_package_of_a_broken_contract_is_kept(write: Callable[..., None], kind: str) -> None:
    """A contract whose main file is there and cannot be read is an error, and not gone."""
    write("orders", {"type": "string"})
    write("parcels", {"type": "string"})
    generate([SCHEMAS], OUT)
    main = SCHEMAS / "orders/service.json"
    main.unlink()
    if kind == "link":
        main.symlink_to("nowhere.json")
    elif kind == "folder":
        main.mkdir()
    else:
        os.mkfifo(main)
    with pytest.raises(ContractError, match=r"orders/service.json.*(leads nowhere|regular file)"):
        generate([SCHEMAS], OUT)
    assert (OUT / "orders/client.py").is_file()


def test_packages_of_other_folders_are_kept(
    write: Callable[..., None], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages that were generated from other folders, or from inside theirs, stay."""
    write("orders", {"type": "string"})
    write("parcels", {"type": "string"})
    Path("schemas/parcels").rename("parcels")
    generate([SCHEMAS], OUT)
    for name in ("parcels", "schemas/orders"):
        monkeypatch.chdir(project / name)
        generate([Path()], project / OUT)
    monkeypatch.chdir(project)
    generate([SCHEMAS], OUT)
    generate([project / "parcels"], OUT)
    assert packages() == {"orders", "parcels"}


def test_projects_share_a_folder(
    write: Callable[..., None], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Projects whose contracts have equal relative paths keep the packages of one another."""
    for name in ("orders", "parcels", "orders"):
        (project / name).mkdir(exist_ok=True)
        monkeypatch.chdir(project / name)
        library("part")
        write(name, {"$ref": "../part/part.json"})
        generate([SCHEMAS], Path("..") / OUT)
    monkeypatch.chdir(project)
    assert packages() == {"orders", "parcels", "part"}


def test_files_that_look_generated_are_kept(write: Callable[..., None], project: Path) -> None:
    """Links, and packages that weenats did not write, stay."""
    write("orders", {"type": "string"})
    generate([SCHEMAS], OUT)
    linked = project / "elsewhere"
    (OUT / "orders").rename(linked)
    (OUT / "linked").symlink_to(linked)
    (OUT / "mine").mkdir()
    for name in ("operations.py", "library.py", "libraries.py"):
        (OUT / "mine" / name).write_text("# mine\n")
    generate([SCHEMAS], OUT)
    assert packages() == {"orders", "linked", "mine"}
    assert (linked / "client.py").exists()
    assert len([*(OUT / "mine").iterdir()]) == 3


@pytest.mark.slow
def test_outdated_copies_in_client_projects(write: Callable[..., None]) -> None:
    """A client project loses copies of libraries that it does not use, and its former package."""
    library("first")
    library("second")
    parts = {name: {"$ref": f"../{name}/part.json"} for name in ("first", "second")}
    write("orders", {"type": "object", "properties": parts})
    generate([SCHEMAS], OUT)
    generate_client(SCHEMAS / "orders", CLIENT)
    before = packages()
    for payload, expected in (
        (parts["second"], {"__init__.py", "second"}),
        ({"type": "string"}, set[str]()),
    ):
        write("orders", payload)
        assert "/models.py" in check_client(SCHEMAS / "orders", CLIENT).diff
        generate_client(SCHEMAS / "orders", CLIENT)
        assert check_client(SCHEMAS / "orders", CLIENT).diff == ""
        copies = CLIENT / "orders_client/libraries"
        assert {path.name for path in copies.glob("*")} == expected
    generate_client(SCHEMAS / "orders", CLIENT, "acme-orders")
    assert {path.name for path in CLIENT.iterdir()} == {
        "README.md",
        "acme_orders",
        "pyproject.toml",
    }
    generate_client(SCHEMAS / "orders", OUT)
    assert packages() == before | {"orders_client"}
