"""Loading a contract folder: which files are read, and what is wrong with them."""

import os
from pathlib import Path

import pytest

from weenats_codegen.ir.bundler import bundle_contract
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic
from weenats_codegen.parser.source import find_contracts, load

CONTRACT = """
service: parcels
version: 1.0.0
description: Carries parcels.
aggregates:
  parcel:
    state: {$ref: parcel.yaml}
    queries:
      get: {description: Show it.}
"""
SCHEMA = "{type: object, additionalProperties: false, properties: {id: {type: string}}}"

SCHEMA_AS_JSON = b'{"type": "object", "properties": {"id": {"type": "string"}}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Contract folder without parcel.yaml."""
    contract = tmp_path / "parcels"
    contract.mkdir()
    (contract / "service.yaml").write_text(CONTRACT)
    (tmp_path / "outside.yaml").write_text(SCHEMA)
    return contract


def problems(folder: Path) -> list[Diagnostic]:
    """Return the problems that are found while everything a contract needs is read."""
    source = load(folder)
    bundle = bundle_contract(source)
    return [*source.resources.diagnostics, *bundle.diagnostics]


def messages(folder: Path) -> list[str]:
    """Return the messages of the problems of a contract."""
    return [diagnostic.message for diagnostic in problems(folder)]


def names(folder: Path) -> list[str]:
    """Return the schema files that are used, by their paths in the folder."""
    source = load(folder)
    bundle_contract(source)
    used = {Path(file).relative_to(folder).as_posix() for file in source.resources.used}
    return sorted(used - {"service.yaml"})


def test_load_reads_referenced_files(folder: Path) -> None:
    """Directly and indirectly referenced files are read once; other files are not read."""
    (folder / "parts").mkdir()
    (folder / "parcel.yaml").write_text(
        "{type: object, properties: {a: {$ref: parts/a.json}, b: {$ref: './parts/../parcel.yaml'}}}"
    )
    (folder / "parts/a.json").write_text('{"$ref": "../parts/b.yml#/$defs/c"}')
    (folder / "parts/b.yml").write_text(f"$defs: {{c: {SCHEMA}}}")
    (folder / "other.yaml").write_text("not: [read")
    assert messages(folder) == []
    assert names(folder) == ["parcel.yaml", "parts/a.json", "parts/b.yml"]


def test_ref_in_examples_is_not_a_reference(folder: Path) -> None:
    """A `$ref` in an example, a default or an enum is a value, not a reference."""
    (folder / "parcel.yaml").write_text(
        "{type: object, examples: [{$ref: a.json}], default: {$ref: b.json}, "
        "enum: [{$ref: c.json}], properties: {$ref: {type: string}}}"
    )
    assert names(folder) == ["parcel.yaml"]


@pytest.mark.parametrize(
    "link", ["../outside.yaml", "../../../../../../../etc/passwd", "/dev/zero"]
)
def test_symlink_out_of_folder_is_rejected(folder: Path, link: str) -> None:
    """A symbolic link out of the folder is rejected before it is opened."""
    (folder / "parcel.yaml").symlink_to(link)
    assert names(folder) == []
    (problem,) = problems(folder)
    assert problem.location.pointer == "/aggregates/parcel/state/$ref"


def test_symlinked_folder_is_rejected(folder: Path) -> None:
    """A symbolic link to a folder outside is rejected like a link to a file."""
    (folder / "up").symlink_to("..")
    (folder / "parcel.yaml").write_text("{$ref: up/outside.yaml}")
    assert messages(folder) == [
        'the $ref "up/outside.yaml" refers to a file that is a link out of its folder'
    ]


def test_symlink_within_folder_is_followed(folder: Path) -> None:
    """A symbolic link within the folder, or to the folder itself, is followed."""
    (folder / "real.yaml").write_text(SCHEMA)
    (folder / "parcel.yaml").symlink_to("real.yaml")
    alias = folder.parent / "alias"
    alias.symlink_to(folder)
    assert messages(alias) == []


def test_circular_symlink_is_problem(folder: Path) -> None:
    """A circular symbolic link is a problem, not a traceback."""
    (folder / "parcel.yaml").symlink_to("parcel.yaml")
    assert len(messages(folder)) == 1


def test_symlink_to_nothing_is_named(folder: Path) -> None:
    """A link to nothing is not a file that does not exist, for which its own name is suggested."""
    (folder / "parcel.yaml").symlink_to("nothing.yaml")
    (message,) = messages(folder)
    assert message.endswith('"parcel.yaml" refers to a file that is a link that leads nowhere')
    (folder / "service.yaml").unlink()
    (folder / "service.yaml").symlink_to("nothing.yaml")
    with pytest.raises(ContractError, match="is a link that leads nowhere"):
        load(folder)


def test_reason_of_the_system_is_named(folder: Path) -> None:
    """What keeps a file from being opened is said, such as a name that is too long."""
    service = (folder / "service.yaml").read_text()
    (folder / "service.yaml").write_text(service.replace("parcel.yaml", f"{'x' * 300}.yaml"))
    (message,) = messages(folder)
    assert message.endswith("refers to a file that cannot be accessed (File name too long)")


def test_symlinked_service_file_is_rejected(folder: Path) -> None:
    """service.yaml itself must not be a symbolic link out of its folder."""
    (folder / "service.yaml").rename(folder.parent / "service.yaml")
    (folder / "service.yaml").symlink_to("../service.yaml")
    with pytest.raises(ContractError, match="is a link out of its folder"):
        load(folder)


def test_named_pipe_is_rejected(folder: Path) -> None:
    """A named pipe is rejected, and reading it does not block."""
    os.mkfifo(folder / "parcel.yaml")
    assert "is not a regular file" in messages(folder)[0]


def test_file_size_is_limited(folder: Path) -> None:
    """YAML of more than 1 MiB is rejected, and JSON of more than 16 MiB."""
    (folder / "parcel.yaml").write_bytes(b" " * (1024 * 1024 + 1))
    assert messages(folder) == ["is YAML of more than 1 MiB"]
    (folder / "parcel.yaml").write_text("{$ref: parcel.json}")
    (folder / "parcel.json").write_bytes(SCHEMA_AS_JSON + b" " * 2 * 1024 * 1024)
    assert messages(folder) == []
    (folder / "parcel.json").write_bytes(SCHEMA_AS_JSON + b" " * 16 * 1024 * 1024)
    assert messages(folder) == ["is larger than 16 MiB"]


def test_unknown_dialect_is_noted(folder: Path) -> None:
    """A `$schema` that no file describes is read as 2020-12 with a note; old drafts are refused."""
    schema = f"{{$schema: URI, {SCHEMA[1:]}"
    (folder / "parcel.yaml").write_text(schema.replace("URI", "'https://example.com/private#'"))
    source = load(folder)
    assert bundle_contract(source).diagnostics == ()
    assert source.resources.diagnostics == []
    (note,) = source.resources.notes
    assert "is not a known dialect; it is read as 2020-12" in note.message
    assert note.location.pointer == "/$schema"
    uri = "http://json-schema.org/draft-03/schema#"
    (folder / "parcel.yaml").write_text(schema.replace("URI", f"'{uri}'"))
    assert messages(folder) == [f'"{uri}" is older than draft-04, and not supported']
    assert load(folder).resources.notes == []


def test_unreadable_file_is_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is a problem of that file."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (folder / "parcel.yaml").write_text(SCHEMA)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ContractError, match=r"cannot be read \(Permission denied\)"):
        load(folder)


@pytest.mark.slow
def test_long_reference_chain(folder: Path) -> None:
    """A circle of 1000 files that refer to each other is read without a recursion error."""
    (folder / "parcel.yaml").write_text("{$ref: 0.json}")
    for number in range(1000):
        (folder / f"{number}.json").write_text(f'{{"$ref": "{(number + 1) % 1000}.json"}}')
    assert len(names(folder)) == 1001


def test_byte_order_mark_is_ignored(folder: Path) -> None:
    """Files that start with a byte order mark can be read."""
    (folder / "parcel.yaml").write_bytes(b"\xef\xbb\xbf" + SCHEMA.encode())
    assert messages(folder) == []


def test_find_contracts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts are found in a folder and its subfolders, without duplicates."""
    (folder.parent / "empty").mkdir()
    monkeypatch.chdir(folder.parent)
    assert find_contracts([Path("parcels")]) == [Path("parcels")]
    assert find_contracts([Path(), Path("parcels"), folder]) == [Path("parcels")]
    assert load(Path("parcels")).root.location.file == "parcels/service.yaml"


def test_find_contracts_reports_all_missing(folder: Path) -> None:
    """Every path without a contract is reported, including missing paths and files."""
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


def test_root_folder_holds_libraries(folder: Path) -> None:
    """References may lead to any folder below the root folder, if there is one."""
    (folder.parent / "shared").mkdir()
    (folder.parent / "outside.yaml").rename(folder.parent / "shared/outside.yaml")
    (folder / "parcel.yaml").write_text("{$ref: ../shared/outside.yaml}")
    [message] = messages(folder)
    assert message.endswith("leads out of the folder that holds the contracts")
    source = load(folder, folder.parent)
    assert list(bundle_contract(source).definitions) == ["Outside"]
    assert source.resources.diagnostics == []


def test_what_no_message_needs_may_be_missing(folder: Path) -> None:
    """Only references that messages need, and those of service.yaml, must lead to a schema."""
    (folder / "parcel.yaml").write_text("{type: object, $defs: {unused: {$ref: missing.json}}}")
    assert messages(folder) == []


def test_link_to_no_folder_is_a_problem(folder: Path) -> None:
    """The contract behind a link to nothing is not gone; locks of editors are such links."""
    (folder.parent / ".#README.md").symlink_to("me@host.1")
    assert find_contracts([folder.parent]) == [folder]
    link = folder.parent / "orders"
    link.symlink_to("nowhere")
    for path in (folder.parent, link):
        with pytest.raises(ContractError, match="orders: is a link that leads nowhere; restore"):
            find_contracts([path])


def test_find_contracts_without_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder without read permission counts as a folder without a contract."""

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ContractError):
        find_contracts([Path()])
