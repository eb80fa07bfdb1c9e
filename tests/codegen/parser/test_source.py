"""Reading a contract folder: which files are opened, and what a `$ref` resolves to."""

import os
from pathlib import Path

import pytest

from weenats_codegen.parser.diagnostics import ContractError, Location
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.source import Source, find_contracts, load

CONTRACT = """
service: parcels
version: 1.0.0
description: Carries parcels.
aggregate: {type: parcel, state: {$ref: parcel.yaml}}
queries:
  get: {description: Show it.}
"""
SCHEMA = "{type: object, additionalProperties: false, properties: {id: {type: string}}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A contract folder without its parcel.yaml."""
    contract = tmp_path / "parcels"
    contract.mkdir()
    (contract / "service.yaml").write_text(CONTRACT)
    (tmp_path / "outside.yaml").write_text(SCHEMA)
    return contract


def messages(source: Source) -> list[str]:
    """Return the errors that were found while reading."""
    return [diagnostic.message for diagnostic in source.diagnostics]


def names(source: Source) -> list[str]:
    """Return the schema files that were read, by their paths in the folder."""
    return [
        Path(file).relative_to(source.folder).as_posix()
        for file, content in source.files.items()
        if content is not source.root
    ]


def test_reads_what_references_reach(folder: Path) -> None:
    """Files that are referred to are read once; others are not read."""
    (folder / "parts").mkdir()
    (folder / "parcel.yaml").write_text(
        "{type: object, properties: {a: {$ref: parts/a.json}, b: {$ref: './parts/../parcel.yaml'}}}"
    )
    (folder / "parts/a.json").write_text('{"$ref": "../parts/b.yml#/$defs/c"}')
    (folder / "parts/b.yml").write_text(f"$defs: {{c: {SCHEMA}}}")
    (folder / "other.yaml").write_text("not: [read")
    source = load(folder)
    assert messages(source) == []
    assert names(source) == ["parcel.yaml", "parts/a.json", "parts/b.yml"]
    file = (folder / "parts/b.yml").as_posix()
    assert source.files[file].location == Location(file)


def test_what_stands_in_examples_is_no_reference(folder: Path) -> None:
    """A `$ref` in an example, a default or an enumeration is not followed."""
    (folder / "parcel.yaml").write_text(
        "{type: object, examples: [{$ref: a.json}], default: {$ref: b.json}, "
        "enum: [{$ref: c.json}], properties: {$ref: {type: string}}}"
    )
    assert names(load(folder)) == ["parcel.yaml"]


def test_resolves_references(folder: Path) -> None:
    """A `$ref` resolves to a location and the schema there."""
    (folder / "parcel.yaml").write_text("{type: object, $defs: {'a/b~c': {type: string}}}")
    source = load(folder)
    root = source.root.location
    parcel = Location((folder / "parcel.yaml").as_posix())
    assert source.resolve(root, "parcel.yaml") == source.files[parcel.file]
    found = source.resolve(parcel, "#/$defs/a~1b~0c")
    assert found == (Location(parcel.file, "/$defs/a~1b~0c"), {"type": "string"})
    assert source.resolve(root, "parcel.yaml#/%24defs/a~1b~0c") == found


@pytest.mark.parametrize(
    "ref", ["", "#", "other.yaml", "parcel.yaml#/$defs/x", "parcel.yaml#/$defs/list", "/etc/passwd"]
)
def test_refuses_to_resolve(folder: Path, ref: str) -> None:
    """A `$ref` that cannot be resolved raises ContractError."""
    (folder / "parcel.yaml").write_text("$defs: []")
    source = load(folder)
    with pytest.raises(ContractError) as caught:
        source.resolve(source.root.location, ref)
    assert caught.value.diagnostics[0].location.file == source.root.location.file


@pytest.mark.parametrize(
    "link", ["../outside.yaml", "../../../../../../../etc/passwd", "/dev/zero"]
)
def test_opens_nothing_through_links_that_lead_out(folder: Path, link: str) -> None:
    """A link out of the folder is refused before it is opened."""
    (folder / "parcel.yaml").symlink_to(link)
    source = load(folder)
    assert names(source) == []
    assert len(source.diagnostics) == 1
    assert source.diagnostics[0].location.pointer == "/aggregate/state/$ref"


def test_opens_nothing_through_linked_folders(folder: Path) -> None:
    """Links to folders are checked like links to files."""
    (folder / "up").symlink_to("..")
    (folder / "parcel.yaml").write_text("{$ref: up/outside.yaml}")
    source = load(folder)
    assert messages(source) == [
        'the $ref "up/outside.yaml" refers to a file that is a link out of the contract\'s folder'
    ]


def test_links_within_the_folder_are_files(folder: Path) -> None:
    """A link inside the folder is followed, and a link to the folder itself."""
    (folder / "real.yaml").write_text(SCHEMA)
    (folder / "parcel.yaml").symlink_to("real.yaml")
    alias = folder.parent / "alias"
    alias.symlink_to(folder)
    assert messages(load(alias)) == []


def test_links_in_a_circle_are_refused(folder: Path) -> None:
    """A circular link is a diagnostic."""
    (folder / "parcel.yaml").symlink_to("parcel.yaml")
    assert len(load(folder).diagnostics) == 1


def test_service_by_link_is_refused(folder: Path) -> None:
    """service.yaml must not be a link out of its folder."""
    (folder / "service.yaml").rename(folder.parent / "service.yaml")
    (folder / "service.yaml").symlink_to("../service.yaml")
    with pytest.raises(ContractError, match="is a link out of the contract's folder"):
        load(folder)


def test_waits_for_no_pipe(folder: Path) -> None:
    """A pipe is refused without opening it, which would block."""
    os.mkfifo(folder / "parcel.yaml")
    assert "is not a regular file" in messages(load(folder))[0]


def test_reads_no_endless_file(folder: Path) -> None:
    """A file of more than 1 MiB is refused."""
    (folder / "parcel.yaml").write_bytes(b" " * (1024 * 1024 + 1))
    assert messages(load(folder)) == ["is larger than 1 MiB"]


def test_unreadable_files_are_problems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is a diagnostic for that file."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (folder / "parcel.yaml").write_text(SCHEMA)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ContractError, match=r"cannot be read \(Permission denied\)"):
        load(folder)


def test_long_chains_of_files_are_read(folder: Path) -> None:
    """A thousand files that refer to one another are read."""
    (folder / "parcel.yaml").write_text("{$ref: 0.json}")
    for number in range(1000):
        (folder / f"{number}.json").write_text(f'{{"$ref": "{(number + 1) % 1000}.json"}}')
    assert len(names(load(folder))) == 1001


def test_byte_order_mark_is_no_character(folder: Path) -> None:
    """A byte order mark is ignored."""
    (folder / "parcel.yaml").write_bytes(b"\xef\xbb\xbf" + SCHEMA.encode())
    assert messages(load(folder)) == []


def test_finds_contracts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract folders and folders of contracts are accepted; each contract is found once."""
    (folder.parent / "empty").mkdir()
    monkeypatch.chdir(folder.parent)
    assert find_contracts([Path("parcels")]) == [Path("parcels")]
    assert find_contracts([Path(), Path("parcels"), folder]) == [Path("parcels")]
    assert load(Path("parcels")).root.location.file == "parcels/service.yaml"


def test_says_every_folder_without_a_contract(folder: Path) -> None:
    """Each path without a contract is reported, also a missing one or a file."""
    empty, missing, file = (
        folder.parent / "empty",
        folder.parent / "missing",
        folder / "service.yaml",
    )
    empty.mkdir()
    with pytest.raises(ContractError) as caught:
        find_contracts([empty, missing, file, folder])
    assert {diagnostic.location.file for diagnostic in caught.value.diagnostics} == {
        path.as_posix() for path in (empty, missing, file)
    }


def test_reader_keeps_to_its_folder(folder: Path) -> None:
    """The reader opens no file outside its folder."""
    assert Reader(folder).read_contract("../outside.yaml") is None


def test_a_folder_that_cannot_be_looked_into_has_no_contract(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that cannot be accessed is reported as one without a contract."""

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ContractError):
        find_contracts([Path()])
