"""`weenats new`: a contract folder that is valid from the start, and nothing overwritten."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.properties import examples
from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import load
from weenats_codegen.scaffold import scaffold, singular


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_sample_is_what_the_scaffold_writes(tmp_path: Path, repository: Path) -> None:
    """The repository's own contract and meta-schema are the scaffold's, byte for byte."""
    written = scaffold("receipts", tmp_path)
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    made = tree(tmp_path / "schemas")
    meta_schema = made.pop("service.schema.json")
    assert meta_schema == (repository / "schemas/service.schema.json").read_bytes()
    sample = tree(repository / "schemas/receipts")
    assert made == {f"receipts/{name}": content for name, content in sample.items()}


def test_names_go_everywhere(tmp_path: Path) -> None:
    """Another name leaves nothing of the sample's."""
    scaffold("work-orders", tmp_path)
    made = tree(tmp_path / "schemas/work-orders")
    assert sorted(made) == ["service.yaml", "work-order.schema.json"]
    assert not any(b"receipt" in content for content in made.values())
    text = made["service.yaml"].decode()
    assert text.startswith("# yaml-language-server: $schema=../service.schema.json\n")
    assert "description: There is no such work order." in text


@examples(0.4)
@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True) | st.text(max_size=5))
def test_any_name_is_a_valid_contract_or_refused(name: str) -> None:
    """Whatever the name, there is a contract without problems, or nothing at all."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            scaffold(name, root)
        except ContractError:
            assert tree(root) == {}
        else:
            assert lint(load(root / "schemas" / name)) == []


@pytest.mark.parametrize("name", ["null", "true", "services", "events", "orders", "class", "s"])
def test_odd_names_are_taken(name: str, tmp_path: Path) -> None:
    """Names that YAML or Python would take for something else make valid contracts."""
    scaffold(name, tmp_path)
    contract = load(tmp_path / "schemas" / name)
    assert isinstance(contract.root.data, dict)
    assert contract.root.data["service"] == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Receipts", '"Receipts": is no name of a service'),
        ("../up", '"../up": is no name of a service'),
        ("receipts\n", '"receipts\\n": is no name of a service'),
        ("", '"": is no name of a service'),
        ("items", "this name makes no valid contract"),
        ("email", "the Python package would be email"),
        ("a" * 50, "is no valid name"),
    ],
)
def test_bad_names_are_refused(name: str, message: str, tmp_path: Path) -> None:
    """A name that cannot be used is one clear line, and leaves nothing behind."""
    with pytest.raises(ContractError) as caught:
        scaffold(name, tmp_path)
    assert message in str(caught.value)
    assert tree(tmp_path) == {}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder of that name is left as it is, and so is a meta-schema that is there."""
    meta_schema = tmp_path / "schemas/service.schema.json"
    meta_schema.parent.mkdir()
    meta_schema.write_text("mine")
    assert meta_schema not in scaffold("orders", tmp_path)
    assert meta_schema.read_text() == "mine"
    before = tree(tmp_path)
    with pytest.raises(ContractError, match="exists already"):
        scaffold("orders", tmp_path)
    assert tree(tmp_path) == before


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    """Where nothing can be written, that is said in one line."""
    (tmp_path / "schemas").write_text("a file")
    with pytest.raises(ContractError, match="cannot be written"):
        scaffold("orders", tmp_path)


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("receipts", "receipt"), ("stories", "story"), ("addresses", "address"), ("boxes", "box"),
        ("status", "status"), ("billing", "billing"), ("glass", "glass"), ("s", "s"),
        ("ties", "tie"), ("analysis", "analysis"),
    ],
)  # fmt: skip
def test_singular(plural: str, expected: str) -> None:
    """A service named in the plural holds one of them."""
    assert singular(plural) == expected
