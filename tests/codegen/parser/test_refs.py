"""URIs of schemas, and the files that they name."""

import pytest

from weenats_codegen.parser.refs import InvalidReferenceError, file_uri, join, path_of, split


@pytest.mark.parametrize(
    ("base", "ref", "expected"),
    [
        ("https://a.example/b/c.json", "d.json", "https://a.example/b/d.json"),
        ("https://a.example/b/c.json", "/d.json", "https://a.example/d.json"),
        ("https://a.example/b/c.json", "//e.example/d", "https://e.example/d"),
        ("https://a.example/b/c.json", "../d.json", "https://a.example/d.json"),
        ("https://a.example/b/c.json", "urn:x:y", "urn:x:y"),
        ("https://a.example/b/c.json", "", "https://a.example/b/c.json"),
        ("contract:///b/c.json", "d.json", "contract:///b/d.json"),
        ("example:///b/c.json", "d.json", "example:///b/d.json"),
        ("urn:x:y", "", "urn:x:y"),
    ],
)
def test_references_are_joined_to_their_base(base: str, ref: str, expected: str) -> None:
    """References are relative to their base URI as RFC 3986 says, whatever its scheme."""
    assert join(base, ref) == expected


def test_fragment_is_decoded() -> None:
    """A fragment is decoded, the rest stays as it is written."""
    assert split("a%20b.json#/%24defs/a~1b") == ("a%20b.json", "/$defs/a~1b")
    assert split("#") == ("", "")


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        ("x.json", "sub/x.json"),
        ("./a/../x.yaml", "sub/x.yaml"),
        ("../x.yml", "x.yml"),
        ("a%20b.json", "sub/a b.json"),
        ("..x.json", "sub/..x.json"),
    ],
)
def test_relative_reference_names_a_file(ref: str, path: str) -> None:
    """A relative reference names a file beside the one that it is in."""
    assert path_of(file_uri("sub/root.json"), ref) == path


@pytest.mark.parametrize(
    "ref",
    ["/x.json", "../../x.json", "..%2f..%2fx.json", "%2e%2e/../x.json", "a\\b.json", "C:x.json",
     "x.json?y", "x", "x.txt", "file:x.json", "https://a.example/x.json", "a\n.json", "..",
     "%00.json"],
)  # fmt: skip
def test_other_references_name_no_file(ref: str) -> None:
    """What leaves the folder, is not a path or not JSON or YAML is refused before it is opened."""
    with pytest.raises(InvalidReferenceError):
        path_of(file_uri("sub/root.json"), ref)
