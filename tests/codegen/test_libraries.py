"""Libraries: folders of schemas without a contract, which several contracts share."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from pydantic import ValidationError

from weenats.library import Library
from weenats_codegen.generate import check, generate, package_files, read_contracts
from weenats_codegen.parser import reader
from weenats_codegen.parser.diagnostics import ContractError

GOLDEN: Final = Path(__file__).parent / "golden" / "libraries"
ADDRESS: Final = {
    "type": "object",
    "required": ["street"],
    "additionalProperties": False,
    "properties": {"street": {"type": "string"}},
}
PACKAGES: Final = ("billing", "deliveries", "postal", "units")


def write(root: Path, files: dict[str, Any]) -> Path:
    """Write files below a folder; contracts are given by the payloads of their commands."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "service.json":
            content = contract(path.parent.name, content)  # noqa: PLW2901
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def contract(service: str, payload: Any) -> dict[str, Any]:
    """Return a contract with one command."""
    command = {"description": "Do it.", "payload": payload}
    return {
        "service": service,
        "version": "1.0.0",
        "description": "Does things.",
        "commands": {"do": command},
    }


def obj(**properties: Any) -> dict[str, Any]:
    """Return the schema of a closed object."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def ref(target: str) -> dict[str, str]:
    """Return a reference."""
    return {"$ref": target}


def problems(*paths: Path) -> list[str]:
    """Return what is wrong with contracts: the end of each location, and the message."""
    with pytest.raises(ContractError) as caught:
        read_contracts(paths)
    return [
        f"{'/'.join(each.location.file.split('/')[-2:])}{each.location.pointer}: {each.message}"
        for each in caught.value.diagnostics
    ]


def models(root: Path, package: str) -> str:
    """Return the generated models of one package."""
    return package_files(read_contracts([root]))[f"{package}/models.py"]


@pytest.fixture(scope="module")
def imported() -> Iterator[dict[str, ModuleType]]:
    """The packages of the golden case."""
    sys.path.insert(0, str(GOLDEN / "expected"))
    yield {name: importlib.import_module(name) for name in PACKAGES}
    sys.path.remove(str(GOLDEN / "expected"))
    forget(*PACKAGES)


def forget(*packages: str) -> None:
    """Remove packages from those that are imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def test_contracts_share_classes(imported: dict[str, ModuleType]) -> None:
    """The address of one contract is the class that the other has, under any name."""
    billing, deliveries, postal = (imported[name] for name in ("billing", "deliveries", "postal"))
    assert billing.PostalAddress is deliveries.Address is postal.Address
    assert issubclass(billing.Place, postal.Point)
    assert deliveries.Weight is imported["units"].Weight
    address = postal.Address(id="a", street="Main", country="NO")
    bill = billing.Bill(from_="NO9386011117947", to=address)
    assert bill.to is address
    assert pickle.loads(pickle.dumps(bill)) == bill  # noqa: S301 - of this test


def test_union_across_libraries_is_told_apart_by_its_tag(imported: dict[str, ModuleType]) -> None:
    """A union of classes of a library has a discriminator, and errors of one branch only."""
    deliveries: Any = imported["deliveries"]
    item = '{"kind": "parcel", "weight": {"grams": 7}}'
    text = f'{{"to": {{"street": "M", "country": "NO"}}, "item": {item}}}'
    with pytest.raises(ValidationError) as caught:
        deliveries.Deliver.model_validate_json(text)
    [error] = caught.value.errors()
    assert error["loc"] == ("item", "parcel", "weight", "grams")
    parcel = deliveries.Deliver.model_validate_json(text.replace("7", "5")).item
    assert type(parcel) is imported["postal"].Parcel


def test_fastapi_uses_one_component(imported: dict[str, ModuleType]) -> None:
    """FastAPI describes a class of a library once for all models that use it."""
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()
    for name, model in (("a", imported["deliveries"].Address), ("b", imported["postal"].Address)):
        app.post(f"/{name}", response_model=model)(lambda: None)
    components = app.openapi()["components"]["schemas"]
    assert [name for name in components if "Address" in name] == ["Address", "AddressBox"]


@pytest.mark.slow
def test_contracts_are_generated_one_by_one(tmp_path: Path) -> None:
    """The library is the same, whichever contract it is generated with, and in any order."""
    together, apart = tmp_path / "together", tmp_path / "apart"
    folder = GOLDEN / "contract"
    generate([folder], together)
    for name in ("deliveries", "billing"):
        report = generate([folder / name], apart)
    assert not any(path.parent.name in {"postal", "units"} for path in report.written)
    for path in together.rglob("*.py"):
        assert (apart / path.relative_to(together)).read_text() == path.read_text()
    assert check([folder / "billing"], apart).diff == ""
    (apart / "postal" / "models.py").write_text("# Generated by weenats from x. Do not edit.\n")
    assert "class Point" in check([folder / "billing"], apart).diff


def test_contract_may_be_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libraries are beside the contract's folder, also if that is the working directory."""
    root = write(
        tmp_path,
        {"orders/service.json": ref("../shared/address.json"), "shared/address.json": ADDRESS},
    )
    monkeypatch.chdir(root / "orders")
    [found] = read_contracts([Path()])
    assert found.file == "service.json"
    assert [library.path for library in found.libraries] == ["../shared"]
    [same] = read_contracts([Path("../orders")])
    assert package_files([same])["shared/models.py"] == package_files([found])["shared/models.py"]


def test_library_has_all_its_schemas(tmp_path: Path) -> None:
    """Files in subfolders, entries of `$defs` and OpenAPI components are classes, also unused."""
    root = write(
        tmp_path,
        {
            "orders/service.json": ref("../shared/address.json"),
            "shared/address.json": ADDRESS,
            "shared/deep/er/unused.yaml": "{type: string, maxLength: 3}",
            "shared/api.json": {"components": {"schemas": {"Pet": obj(name=ref("#/x-kept"))}}}
            | {"x-kept": {"type": "string", "minLength": 2}},
            "shared/example.json": {"street": "Main", "kind": 7},
            "shared/list.json": [1, 2],
            "shared/.hidden/skipped.json": ADDRESS,
        },
    )
    source = models(root, "shared")
    for name in ("Address", "Pet", "Unused"):
        assert f'"{name}",' in package_files(read_contracts([root]))["shared/__init__.py"]
    assert "Example" not in source
    assert "Skipped" not in source


def test_names_do_not_depend_on_contracts(tmp_path: Path) -> None:
    """Renaming a contract, adding another, or its own class of that name changes no library."""
    files = {
        "shared/address.json": ADDRESS,
        "shared/v1/money.json": obj(a={"type": "integer"}),
        "shared/v2/money.json": obj(b={"type": "integer"}),
        "orders/service.json": ref("../shared/address.json"),
    }
    before = models(write(tmp_path / "a", files), "shared")
    files["zebras/service.json"] = files.pop("orders/service.json")
    files["ants/service.json"] = obj(
        own=ref("address.json"),
        other=ref("../shared/address.json"),
        money=ref("../shared/v2/money.json"),
    )
    files["ants/address.json"] = obj(line={"type": "string"})
    root = write(tmp_path / "b", files)
    assert models(root, "shared") == before
    assert {"class V1Money(Model)", "class V2Money(Model)"} <= {
        line.rstrip(":") for line in before.splitlines()
    }
    assert "from shared.models import Address as SharedAddress" in models(root, "ants")


def test_same_name_in_two_libraries(tmp_path: Path) -> None:
    """Classes of two libraries with one name have the names of their libraries, also equal ones."""
    root = write(
        tmp_path,
        {
            "one/address.json": ADDRESS,
            "two/address.json": ADDRESS,
            "orders/service.json": obj(a=ref("../one/address.json"), b=ref("../two/address.json")),
        },
    )
    source = models(root, "orders")
    assert "from one.models import Address as OneAddress" in source
    assert "from two.models import Address as TwoAddress" in source


def test_circles_of_libraries_are_refused(tmp_path: Path) -> None:
    """Libraries that use one another are reported once, the same for each contract."""
    root = write(
        tmp_path,
        {
            "b/x.json": obj(c=ref("../c/x.json")),
            "c/x.json": obj(a=ref("../a/x.json")),
            "a/x.json": obj(b=ref("../b/x.json")),
            "first/service.json": ref("../c/x.json"),
            "other/service.json": ref("../b/x.json"),
        },
    )
    expected = ["a/x.json/properties/b/$ref: makes a circle of libraries: a -> b -> c -> a"]
    assert problems(root) == expected
    assert problems(root / "other") == expected


def test_recursion_inside_a_library(tmp_path: Path) -> None:
    """Schemas of one library may refer to one another in circles, through its folders."""
    root = write(
        tmp_path,
        {
            "shared/a.json": obj(b=ref("deep/b.json")),
            "shared/deep/b.json": obj(all={"type": "array", "items": ref("../a.json")}),
            "orders/service.json": obj(a=ref("../shared/a.json")),
        },
    )
    assert "from shared.models import A" in models(root, "orders")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("../shared/to-contract.json", "leads into the folder of the contract orders"),
        ("../other/own.json", "leads into the folder of the contract other"),
        ("../shared/inner/own.json", "leads into the folder of the contract shared/inner"),
        ("../loose.json", "leads to a file that is in no folder of its own"),
        ("../../outside/x.json", "leads out of the folder that holds the contracts"),
        ("..\\\\shared\\\\address.json", "has a backslash"),
        ("../linked/address.json", "refers to a file that is a link out of its folder"),
        ("../shared/link.json", "refers to a file that is a link out of its folder"),
        ("../shared/alias.json", "refers to a file that is a link out of its folder"),
    ],
)
def test_references_that_are_refused(tmp_path: Path, target: str, expected: str) -> None:
    """References into contracts, out of the root folder, and through links are refused."""
    root = write(
        tmp_path / "schemas",
        {
            "shared/address.json": ADDRESS,
            "shared/to-contract.json": ref("../orders/own.json") | {"minProperties": 1},
            "shared/inner/service.json": ADDRESS,
            "shared/inner/own.json": ADDRESS,
            "units/address.json": ADDRESS,
            "other/service.json": ADDRESS,
            "other/own.json": ADDRESS,
            "orders/own.json": ADDRESS,
            "orders/service.json": obj(x=ref(target)),
            "loose.json": ADDRESS,
        },
    )
    write(tmp_path / "outside", {"x.json": ADDRESS, "address.json": ADDRESS})
    (root / "linked").symlink_to("../outside")
    (root / "shared/link.json").symlink_to("../../outside/x.json")
    (root / "shared/alias.json").symlink_to("../units/address.json")
    found = problems(root)
    assert any(expected in each for each in found), found


def test_two_spellings_are_not_two_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where file systems ignore upper and lower case, references must have the right one."""
    target = ref("../Shared/address.json")
    root = write(tmp_path, {"shared/address.json": ADDRESS, "orders/service.json": target})
    resolve = Path.resolve

    def ignoring_case(path: Path, *arguments: Any) -> Path:
        return resolve(Path(str(path).replace("Shared", "shared")), *arguments)

    monkeypatch.setattr(Path, "resolve", ignoring_case)
    monkeypatch.setattr(
        reader.Reader, "_home", lambda _, relative: resolve(root / relative.split("/")[0].lower())
    )
    [problem] = problems(root / "orders")
    assert problem.endswith("refers to a file that is spelled in another way")


@pytest.mark.parametrize("name", ["json", "tests", "pydantic", "weenats"])
def test_packages_of_others_are_refused(tmp_path: Path, name: str) -> None:
    """A library cannot have the name of a module of Python or of another distribution."""
    root = write(
        tmp_path,
        {f"{name}/address.json": ADDRESS, "orders/service.json": ref(f"../{name}/address.json")},
    )
    [problem] = problems(root)
    assert problem.endswith(f"would be {name}, which is the name of another package")


def test_packages_are_unique(tmp_path: Path) -> None:
    """Two libraries, also of two roots, and a contract cannot have one package."""
    files = {
        "shared-a/x.json": ADDRESS,
        "Shared_A/x.json": obj(b={"type": "string"}),
        "orders/service.json": obj(a=ref("../shared-a/x.json"), b=ref("../Shared_A/x.json")),
    }
    [problem] = problems(write(tmp_path / "a", files))
    assert "has the same Python package shared_a as" in problem
    both = [
        write(
            tmp_path / name, {f"{name}s/service.json": ref("../lib/x.json"), "lib/x.json": ADDRESS}
        )
        for name in ("b", "c")
    ]
    [problem] = problems(*both)
    assert "has the same Python package lib as" in problem
    files = {"orders/service.json": ref("../Orders/x.json"), "Orders/x.json": ADDRESS}
    [problem] = problems(write(tmp_path / "d", files))
    assert "has the same Python package orders as" in problem


def test_schemas_are_found_by_their_url(tmp_path: Path) -> None:
    """`$id`s of libraries are known to contracts and other libraries; they are the same class."""
    root = write(
        tmp_path,
        {
            "vendor/geo.json": {"$id": "https://example.com/geo", **ADDRESS},
            "shared/x.json": obj(geo=ref("https://example.com/geo")),
            "orders/service.json": obj(a=ref("https://example.com/geo"), b=ref("../shared/x.json")),
        },
    )
    assert "from vendor.models import Geo" in models(root, "orders")
    assert "from vendor.models import Geo" in models(root, "shared")


def test_inline_schemas_of_libraries_are_copied(tmp_path: Path) -> None:
    """A pointer to what has no name in a library is a model of the contract."""
    root = write(
        tmp_path,
        {
            "shared/x.json": obj(part=obj(address=ref("address.json"))),
            "shared/address.json": ADDRESS,
            "orders/service.json": obj(a=ref("../shared/x.json#/properties/part")),
        },
    )
    source = models(root, "orders")
    assert "from shared.models import Address" in source
    assert "address: Annotated[Address | None, OMIT_NONE]" in source


def test_dynamic_references_of_libraries(tmp_path: Path) -> None:
    """A tree of a library is shared, unless the contract extends it by a dynamic anchor."""
    tree = {
        "$id": "https://example.com/tree",
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
    }
    strict = {
        "$id": "https://example.com/strict",
        "$dynamicAnchor": "node",
        "$ref": "tree",
        "unevaluatedProperties": False,
    }
    files = {"shared/tree.json": tree, "orders/service.json": obj(a=ref("../shared/tree.json"))}
    assert "from shared.models import Tree" in models(write(tmp_path / "a", files), "orders")
    files |= {"orders/strict.json": strict, "orders/service.json": ref("strict.json")}
    source = models(write(tmp_path / "b", files), "orders")
    assert "shared" not in source
    assert "class Strict" in source


def test_contract_was_generated_with_other_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing a package fails if its library has another content; new schemas do no harm."""
    files = {"lib-x/address.json": ADDRESS, "user-x/service.json": ref("../lib-x/address.json")}
    root, out = write(tmp_path / "schemas", files), tmp_path / "out"
    generate([root], out)
    kept = tmp_path / "kept"
    shutil.move(out / "user_x", kept)
    monkeypatch.syspath_prepend(str(out))
    write(root, {"lib-x/more.json": ADDRESS, "lib-x/address.json": {**ADDRESS, "description": "x"}})
    generate([root], out)
    shutil.rmtree(out / "user_x")
    shutil.copytree(kept, out / "user_x")
    assert importlib.import_module("user_x").Address.__module__ == "lib_x.models"
    forget("lib_x", "user_x")
    write(root, {"lib-x/address.json": obj(street={"type": "string"}, zip={"type": "string"})})
    generate([root], out)
    shutil.rmtree(out / "user_x")
    shutil.copytree(kept, out / "user_x")
    importlib.invalidate_caches()
    with pytest.raises(
        ImportError, match=r"user_x was generated with other schemas .* lib_x .*Address"
    ):
        importlib.import_module("user_x")
    forget("lib_x", "user_x")


def test_library_names_what_differs() -> None:
    """A library accepts the digests that it has, and names the schemas that it lacks."""
    library = Library("shared", {"Address": "1", "Point": "2"})
    library.require("orders", {"Address": "1"})
    with pytest.raises(ImportError, match=r"installed \(Point, Tree\)") as caught:
        library.require("orders", {"Address": "1", "Point": "3", "Tree": "4"})
    assert caught.value.name == "shared"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """A file or folder whose name is not UTF-8 keeps no contract from being read."""
    root = write(tmp_path, {"orders/service.json": {"$schema": "https://example.com/own"}})
    for name in (b"caf\xe9/address.json", b"shared/caf\xe9.json"):
        path = root / os.fsdecode(name)
        path.parent.mkdir()
        path.write_text(json.dumps({**ADDRESS, "$id": "https://example.com/own"}))
    assert [each.service for each in read_contracts([root / "orders"])] == ["orders"]


def test_problems_of_a_library_are_reported_once(tmp_path: Path) -> None:
    """All that is wrong in a library is reported, also what no contract uses."""
    root = write(
        tmp_path,
        {
            "shared/address.json": ADDRESS,
            "shared/unused.json": {"type": "text"},
            "shared/broken.json": "{",
            "shared/missing.json": obj(x=ref("nowhere.json")),
            "orders/service.json": ref("../shared/address.json"),
            "others/service.json": ref("../shared/address.json"),
        },
    )
    found = problems(root)
    assert [each.partition(":")[0] for each in found] == [
        "shared/broken.json",
        "shared/missing.json/properties/x/$ref",
        "shared/unused.json/type",
    ]


def test_files_of_other_folders_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search for a URL is limited, and reads no other contract."""
    files: dict[str, Any] = {f"many/{number}.json": ADDRESS for number in range(20)}
    files["other/x.json"] = {"$id": "https://example.com/x", **ADDRESS}
    files |= {"other/service.json": ADDRESS}
    files |= {"orders/service.json": ref("https://example.com/x")}
    root = write(tmp_path, files)
    monkeypatch.setattr(reader, "_MAX_FILES", 5)
    opened: list[str] = []
    read = reader.Reader.read

    def record(self: reader.Reader, relative: str) -> object:
        opened.append(relative)
        return read(self, relative)

    monkeypatch.setattr(reader.Reader, "read", record)
    [problem] = problems(root / "orders")
    assert "is a URL" in problem
    assert {Path(each).parent.name for each in opened} == {"many", "orders"}
    assert len(opened) < 10


@pytest.mark.parametrize("dialect", ["", "2020-12", "draft-07"])
def test_lone_reference_in_all_of(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `allOf` of one `$ref`, with annotations beside it, is the class and no copy of it."""
    uris = {
        "2020-12": "https://json-schema.org/draft/2020-12/schema",
        "draft-07": "http://json-schema.org/draft-07/schema#",
    }
    address = {"allOf": [ref("../shared/address.json")], "description": "Where to.", "title": "To"}
    payload = obj(
        to=address,
        back={**address, "default": {"street": "Main"}, "readOnly": True},
        stops={"type": "array", "items": address},
        narrow={**address, "minProperties": 1},
    )
    files = {
        "shared/address.json": ADDRESS,
        "orders/service.json": payload | ({"$schema": uris[dialect]} if dialect else {}),
        "shipping/service.json": address,
    }
    generate([write(tmp_path / "schemas", files)], tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        orders, shipping, shared = map(importlib.import_module, ("orders", "shipping", "shared"))
        assert orders.Address is shipping.Address is shared.Address
        assert shipping.DO.payload is shared.Address
        there = shared.Address(street="Main")
        command = orders.Do(to=there, back=there, stops=[there], narrow={"street": "Main"})
        assert command.to is command.back is command.stops[0] is there
        assert type(command.narrow) is not shared.Address
    finally:
        forget("orders", "shipping", "shared")


def test_nullable_reference_in_all_of(tmp_path: Path) -> None:
    """OpenAPI's `nullable` beside such an `allOf` adds None to the class."""
    shared = {"allOf": [ref("../shared/address.json")], "nullable": True}
    files = {"shared/address.json": ADDRESS, "orders/service.json": obj(to=shared)}
    [contract] = read_contracts([write(tmp_path / "schemas", files)])
    assert "to: Address | MISSING | None" in package_files([contract])["orders/models.py"]
