"""`weenats new`: writes a valid contract folder and overwrites nothing."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.properties import examples
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import load
from weenats_codegen.scaffold import scaffold, scaffold_sample, singular


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_sample_is_that_of_repository(tmp_path: Path, repository: Path) -> None:
    """The sample and the meta-schema equal those of the repository."""
    written = scaffold_sample(tmp_path)
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    made = tree(tmp_path / "schemas")
    meta_schema = made.pop("service.schema.json")
    assert meta_schema == (repository / "schemas/service.schema.json").read_bytes()
    assert made == {
        f"{folder}/{name}": content
        for folder in ("receipts", "shop")
        for name, content in tree(repository / "schemas" / folder).items()
    }


@pytest.mark.parametrize("folder", ["receipts", "shop"])
def test_sample_overwrites_nothing(folder: str, tmp_path: Path) -> None:
    """If a folder of the sample exists, nothing is written."""
    (tmp_path / "schemas" / folder).mkdir(parents=True)
    with pytest.raises(ContractError, match=f"schemas/{folder}: already exists"):
        scaffold_sample(tmp_path)
    assert tree(tmp_path / "schemas") == {}


def test_contract_is_neutral(tmp_path: Path) -> None:
    """A new contract speaks of its own things only: nothing of the sample is in it."""
    scaffold("work-orders", tmp_path)
    made = tree(tmp_path / "schemas/work-orders")
    assert sorted(made) == ["service.yaml", "work-order.schema.json"]
    for content in made.values():
        assert not re.search("receipt|item|price|customer|total|void", content.decode().lower())
    text = made["service.yaml"].decode()
    assert text.startswith("# yaml-language-server: $schema=../service.schema.json\n")
    assert "description: There is no such work order." in text


def test_remains_of_killed_run_are_removed(tmp_path: Path) -> None:
    """What a killed run left in the folder of the contracts is removed by the next one."""
    (tmp_path / "schemas/.weenats-x/orders").mkdir(parents=True)
    scaffold("orders", tmp_path)
    assert sorted(path.name for path in (tmp_path / "schemas").iterdir()) == [
        "orders",
        "service.schema.json",
    ]


@examples(0.4)
@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True) | st.text(max_size=5))
def test_any_name_is_valid_or_rejected(name: str) -> None:
    """Any name gives a contract without problems, or is rejected and nothing is written."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            scaffold(name, root)
        except ContractError:
            assert tree(root) == {}
        else:
            assert read(root / "schemas" / name).service == name


@pytest.mark.parametrize(
    "name", ["null", "true", "services", "events", "orders", "class", "s", "a" * 40]
)
def test_unusual_names_are_accepted(name: str, tmp_path: Path) -> None:
    """Names with a special meaning in YAML or Python give valid contracts."""
    scaffold(name, tmp_path)
    contract = load(tmp_path / "schemas" / name)
    assert contract.root.mapping["service"] == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Receipts", '"Receipts": is not a valid service name'),
        ("../up", '"../up": is not a valid service name'),
        ("receipts\n", '"receipts\\n": is not a valid service name'),
        ("", '"": is not a valid service name'),
        (
            "email",
            "schemas/email: the Python package would be email, which is the name of another ",
        ),
        ("a" * 41, "use at most 40 letters"),
    ],
)
def test_invalid_names_are_rejected(name: str, message: str, tmp_path: Path) -> None:
    """An invalid name is rejected with a clear message, and nothing is written."""
    with pytest.raises(ContractError) as caught:
        scaffold(name, tmp_path)
    assert message in str(caught.value)
    assert tree(tmp_path) == {}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An existing contract folder and an existing meta-schema are left unchanged."""
    meta_schema = tmp_path / "schemas/service.schema.json"
    meta_schema.parent.mkdir()
    meta_schema.write_text("mine")
    assert meta_schema not in scaffold("orders", tmp_path)
    assert meta_schema.read_text() == "mine"
    before = tree(tmp_path)
    with pytest.raises(ContractError, match="already exists"):
        scaffold("orders", tmp_path)
    assert tree(tmp_path) == before


def test_unwritable_folder_is_rejected(tmp_path: Path) -> None:
    """A folder that cannot be written is an error."""
    (tmp_path / "schemas").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write to the folder \(Not a directory\)"):
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
    """`singular()` returns the singular of a service name."""
    assert singular(plural) == expected
