"""Code blocks of the documents: programs and tests run, excerpts exist, data is valid."""

from __future__ import annotations

import json
import tomllib
from configparser import ConfigParser
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml

from testkit.documents import DOCUMENTS, Block, Document, running
from testkit.paths import REPOSITORY
from testkit.run_block import run_block
from testkit.wire import assert_valid
from weenats_codegen.generate import package_files
from weenats_codegen.loading import read

KINDS = {"python", "py", "yaml", "json", "toml", "ini", "console", "nats", ""}
SAMPLES = REPOSITORY / "generated"


def of_kind(*kinds: str) -> list[Any]:
    """Return the blocks of some languages, as parameters of a test."""
    return [
        pytest.param(
            *(document, block),
            id=f"{document}:{block.line}",
            marks=running(document) if block.kind == "python" else (),
        )
        for document in DOCUMENTS
        for block in document.blocks
        if block.kind in kinds
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_block_kinds(document: Document) -> None:
    """Every block is of a kind that a test checks; plain fences are drawings and output."""
    assert {block.kind for block in document.blocks} <= KINDS


@pytest.mark.parametrize(("document", "block"), of_kind("python"))
def test_python_runs(document: Document, block: Block, tmp_path: Path) -> None:
    """A python block runs as it stands; one with tests passes under pytest."""
    failure = run_block(document, block, tmp_path)
    assert not failure, failure


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os\nraise RuntimeError('wrong')\n", "line 8"),
        ("import warnings\nwarnings.warn('old')\n", "UserWarning: old"),
        ("def test_it():\n    assert False\n", "1 failed"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "exit code -9"),
    ],
)
def test_failing_block_is_noticed(code: str, told: str, tmp_path: Path) -> None:
    """A block that raises, warns, fails a test or dies is a failure that says why."""
    assert told in run_block(DOCUMENTS[0], Block(7, "python", "", code), tmp_path)


@pytest.mark.parametrize(("document", "block"), of_kind("py"))
def test_excerpt_is_in_sample(document: Document, block: Block) -> None:
    """A py block is a part of a file of the sample."""
    assert any(block.text in file.read_text() for file in SAMPLES.glob("*/*.py"))


@pytest.mark.parametrize(("document", "block"), of_kind("yaml"))
def test_yaml_is_valid(
    document: Document, block: Block, receipts_contract: Path, tmp_path: Path
) -> None:
    """A whole contract generates a package; a part of one fits into the sample's contract."""
    if block.note and not block.is_contract:  # another tool's file
        assert list(yaml.safe_load_all(block.text))
        return
    contract: dict[str, Any] = yaml.safe_load(block.text)
    folder = tmp_path / "schemas" / "contract"
    copytree(receipts_contract, folder)
    copytree(receipts_contract.parent / "shop", folder.parent / "shop")
    service = folder / "service.yaml"
    if {"service", "version", "description"} <= contract.keys():
        service.write_text(block.text)
        assert package_files([read(folder)])
    else:
        whole = merged(yaml.safe_load(service.read_text()), contract)
        service.write_text(yaml.safe_dump(whole))
        assert read(folder).service


def merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the members of another put into it."""
    both = {**whole, **part}
    for name in whole.keys() & part.keys():
        if isinstance(whole[name], dict) and isinstance(part[name], dict):
            both[name] = merged(whole[name], part[name])
    return both


@pytest.mark.parametrize(("document", "block"), of_kind("json", "toml", "ini"))
def test_data_is_valid(document: Document, block: Block) -> None:
    """Data parses; a message is what its schema in schemas/messages says."""
    match block.kind:
        case "json":
            data = json.loads(block.text)
            if block.note:
                assert_valid(block.note, data)
        case "toml":
            tomllib.loads(block.text)
        case _:
            ConfigParser().read_string(block.text)
