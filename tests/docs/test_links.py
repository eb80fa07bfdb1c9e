"""Links, paths, sizes and hosts in the documents."""

from __future__ import annotations

import re

import pytest

from testkit.documents import DOCUMENTS, Document, document, paths
from testkit.paths import REPOSITORY

REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.|registry\.|crates\.io|proxy\.golang"
)
ROOTS = [
    REPOSITORY / name
    for name in (
        *("", "runtime", "codegen", "generated"),
        *("runtime/weenats", "codegen/weenats_codegen", "generated/receipts"),
    )
]
"""Where the paths in the documents begin."""


@pytest.mark.parametrize("each", DOCUMENTS, ids=str)
def test_links_lead_somewhere(each: Document) -> None:
    """A link names a file, and its anchor a heading of that file."""
    for link in each.links:
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (each.path.parent / target).resolve() if target else each.path
        assert path.exists(), f"{each}: {link}"
        if anchor:
            assert anchor in Document(path).anchors, f"{each}: {link}"


@pytest.mark.parametrize("each", DOCUMENTS, ids=str)
def test_no_registry_is_named(each: Document) -> None:
    """No document names the host of a package registry: the package is on none."""
    assert REGISTRIES.search(each.text) is None


def test_readme_is_short() -> None:
    """The front page has at most 300 lines."""
    assert len(document("README.md").text.splitlines()) <= 300


def test_every_guide_is_in_the_index() -> None:
    """Each guide is linked from the index of the guides and from the front page."""
    guides = {path.name for path in (REPOSITORY / "runtime" / "docs").glob("*.md")}
    for index, prefix in (("runtime/README.md", "docs/"), ("README.md", "runtime/docs/")):
        links = {link.removeprefix(prefix) for link in document(index).links}
        assert guides <= links, index


HEADINGS = ("Overview", "Quick start", "Options", "Behavior", "Errors", "See also")


@pytest.mark.parametrize("each", [d for d in DOCUMENTS if "/docs/" in str(d)], ids=str)
def test_guides_have_standard_headings(each: Document) -> None:
    """A guide begins with an overview, ends with links, and keeps the order of its sections."""
    found = re.findall(r"^## (.+)$", each.prose, re.MULTILINE)
    assert found[0] == "Overview"
    assert found[-1] == "See also"
    standard = [name for name in found if name in HEADINGS]
    assert standard == [name for name in HEADINGS if name in found]


@pytest.mark.parametrize("each", [d for d in DOCUMENTS if "/" in str(d)], ids=str)
def test_long_documents_list_their_sections(each: Document) -> None:
    """A document of more than 300 lines has links to its sections but the first and the last."""
    if len(each.text.splitlines()) > 300:
        sections = re.findall(r"^###? (.+)$", each.prose, re.MULTILINE)
        listed = re.findall(r"\[([^\]]+)\]\(#", each.prose.replace("\n", " "))
        titles = [name.replace("`", "") for name in sections]
        assert {*titles} - {"Overview", "See also"} <= {*listed}


@pytest.mark.parametrize(
    "name", ["runtime/docs/architecture.md", "codegen/README.md", "generated/README.md"]
)
def test_named_files_exist(name: str) -> None:
    """Each file and folder that is named exists; a folder in its line may hold it."""
    missing = {
        path
        for line in document(name).prose.splitlines()
        for path in paths(line)
        if not any(
            (root / folder / path).exists() for root in ROOTS for folder in ("", *folders(line))
        )
    }
    assert not missing


def folders(line: str) -> list[str]:
    """Return the folders that a line names."""
    return [path for path in paths(line) if path.endswith("/")]


@pytest.mark.parametrize("root", ["runtime/weenats", "codegen/weenats_codegen"])
def test_architecture_names_every_package(root: str) -> None:
    """The architecture guide names each package, and each module at the top level."""
    named = set(paths(document("runtime/docs/architecture.md").prose))
    folder = REPOSITORY / root
    packages = {
        f"{path.parent.relative_to(folder).as_posix()}/" for path in folder.rglob("__init__.py")
    }
    modules = {path.name for path in folder.glob("*.py")}
    assert packages - {"./"} <= named
    assert modules - {"__init__.py", "__main__.py"} <= named


def test_architecture_names_all_modules_of_a_package() -> None:
    """The row of a package of the runtime that names some of its modules names all."""
    rows = re.findall(
        r"^\| `([\w/]+)/` \| (.+) \|$", document("runtime/docs/architecture.md").prose, re.MULTILINE
    )
    missing = {
        package: modules - {"__init__.py"} - set(paths(row))
        for package, row in rows
        if (
            modules := {
                path.name for path in (REPOSITORY / "runtime/weenats" / package).glob("*.py")
            }
        )
        and modules & set(paths(row))
    }
    assert not {package: names for package, names in missing.items() if names}
