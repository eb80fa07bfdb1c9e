"""Older versions of events in contracts: what of them can be read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.compatibility.compare import compare
from weenats_codegen.loading import read, report

Schema = dict[str, Any]


def object_of(required: str = "", **properties: Schema) -> Schema:
    """Return the schema of a closed object."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def open_object(required: str = "", **properties: Schema) -> Schema:
    """Return the schema of an object that may have further members."""
    return {**object_of(required, **properties), "additionalProperties": True}


def contract(folder: Path, data: Schema, *previous: Schema, **event: Any) -> Path:
    """Write a contract with an event and its older versions."""
    opened: Schema = {"description": "Opened.", "data": data, "durable": True, **event}
    if previous:
        opened["previous"] = list(previous)
    whole = {
        "service": "things",
        "version": "1.0.0",
        "description": "Keeps things.",
        "events": {"opened": opened},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(json.dumps(whole))
    return folder


def problems(folder: Path) -> list[str]:
    """Return what breaks the rule."""
    return [
        each.diagnostic.message
        for each in report(folder).findings
        if each.rule.id == "unreadable-version"
    ]


NUMBER: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string", "maxLength": 9}
NEW = object_of("a", a=NUMBER)


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (NEW, {"data": NEW}),
        (object_of("a", a={"type": "number"}), {"data": NEW}),
        (object_of("a", a=NUMBER, b=TEXT), {"data": NEW}),
        (object_of("a b", a=NUMBER, b={**TEXT, "default": "x"}), {"data": NEW}),
        (
            object_of("a b", a=NUMBER, b={**TEXT, "default": "x"}),
            {"data": object_of("a", a=NUMBER, b=TEXT)},
        ),
        (object_of("b", b=NUMBER), {"data": NEW, "renamed": {"a": "b"}}),
        (object_of(), {"data": NEW, "removed": ["a"]}),
        ({"type": "string"}, {"data": NEW, "upcaster": True}),
        (NUMBER, {"data": {"type": "integer", "minimum": 0}}),
        (open_object("a", a=NUMBER, b=TEXT), {"data": open_object("a", a=NUMBER)}),
        (
            object_of(b=NUMBER),
            {"data": object_of(a=NUMBER, b=TEXT), "renamed": {"a": "b"}, "removed": ["b"]},
        ),
        (
            open_object("b", b=NUMBER, c={**TEXT, "default": "x"}),
            {"data": open_object("a", a=NUMBER), "renamed": {"a": "b"}},
        ),
    ],
)
def test_versions_that_can_be_read(data: Schema, version: Schema, tmp_path: Path) -> None:
    """Equal, wider, renamed, removed and added members with a default, and what a user writes."""
    assert problems(contract(tmp_path, data, version)) == []
    assert read(tmp_path).events[0].previous[0].number == 1


@pytest.mark.parametrize(
    ("data", "version", "told"),
    [
        (object_of("a b", a=NUMBER, b=TEXT), {"data": NEW}, 'version 1: required "b"'),
        (object_of("b", b=NUMBER), {"data": NEW}, "version 2 refuses stored data of version 1"),
        (
            object_of("b", b=TEXT),
            {"data": NEW, "renamed": {"a": "b"}},
            "data of version 1 at /b: type",
        ),
        (
            object_of("a b", a=NUMBER, b={**TEXT, "default": 7}),
            {"data": NEW},
            "refuses stored data of version 1 at /b: type",
        ),
        (NEW, {"data": NEW, "removed": ["x"]}, 'has no member "x"'),
        (NEW, {"data": NEW, "renamed": {"a": "x"}}, 'to "x", which the next version does not have'),
        (NEW, {"data": NEW, "removed": ["a"], "upcaster": True}, "has an upcaster"),
        (
            object_of(c=NUMBER),
            {"data": object_of(a=NUMBER, b=NUMBER), "renamed": {"a": "c", "b": "c"}},
            'makes "c" of 2 members, of which one would be lost',
        ),
        (
            object_of(b=NUMBER),
            {"data": object_of(a=NUMBER, b=NUMBER), "renamed": {"a": "b"}},
            'makes "b" of 2 members, of which one would be lost',
        ),
        (
            object_of(b=NUMBER),
            {"data": object_of(a=NUMBER), "renamed": {"a": "b"}, "removed": ["a"]},
            'renames and removes "a"',
        ),
        (
            {"type": "string", "pattern": "^(.)(\\1)$"},
            {"data": {"type": "string", "pattern": "^(.)\\1$"}},
            "it is not known whether version 2 accepts all stored data",
        ),
    ],
)
def test_versions_that_cannot(data: Schema, version: Schema, told: str, tmp_path: Path) -> None:
    """The message says which version refuses what, and where."""
    [found] = problems(contract(tmp_path, data, version))
    assert told in found


def test_only_stored_events_have_versions(tmp_path: Path) -> None:
    """Nobody reads old events that are not stored."""
    folder = contract(tmp_path, NEW, {"data": NEW}, durable=False)
    assert problems(folder) == ["has older versions, but it is not stored"]


def compared(folder: Path, old: list[Schema], new: list[Schema]) -> list[str]:
    """Return the rules by which two contracts differ whose event has some versions."""
    contracts = [
        read(contract(folder / str(number), data, *({"data": each} for each in previous)))
        for number, (*previous, data) in enumerate((old, new))
    ]
    return [
        each.message
        for each in compare(*contracts).findings
        if each.rule.id == "stored-event-narrowed"
    ]


def test_check_knows_older_versions(tmp_path: Path) -> None:
    """A change of data is refused, unless the data before it is an older version now."""
    wider = object_of("a b", a=NUMBER, b={**TEXT, "default": "x"})
    assert compared(tmp_path / "a", [NEW], [wider]) == [
        (
            'the new version refuses a stored event without the member "b"; name the data before '
            "the change as its `previous` version"
        )
    ]
    further = [open_object("a", a=NUMBER)], [open_object("a", a=NUMBER, b=TEXT)]
    assert compared(tmp_path / "further", *further) == []
    assert compared(tmp_path / "closed", *([open_object("a", a=NUMBER)], [NEW])) != []
    assert compared(tmp_path / "b", [NEW], [NEW, wider]) == []
    assert compared(tmp_path / "c", [NEW, wider], [NEW, NEW, wider]) != []
    assert compared(tmp_path / "d", [NEW, wider], [wider]) != []
    assert "has lost older versions" in compared(tmp_path / "e", [NEW, NEW], [NEW])[0]


def test_undeclared_members_of_old_data_are_dropped(tmp_path: Path) -> None:
    """What a version did not declare means nothing when the next one declares it."""
    new = open_object("a b", a=NUMBER, b={**TEXT, "default": "x"}, c=NUMBER)
    folder = contract(tmp_path, new, {"data": open_object("a", a=NUMBER)})
    [version] = read(folder).events[0].previous
    assert (version.removed, version.added) == (("b", "c"), {"b": "x"})
    assert problems(folder) == []


def test_warnings_are_not_about_older_versions(tmp_path: Path) -> None:
    """Nobody can change what was stored."""
    folder = contract(tmp_path, {"type": ["integer", "string"], "maxLength": 9}, {"data": NEW})
    places = {each.diagnostic.location.pointer for each in report(folder).findings}
    assert not any("/previous/0/data" in each for each in places), places


_SMALL: Schema = {"type": "integer", "maximum": 9}
_MAP: Schema = {"type": "object", "additionalProperties": NUMBER}


def _nullable(schema: Schema) -> Schema:
    return open_object(n={"anyOf": [schema, {"type": "null"}]})


def _union(*branches: Schema) -> Schema:
    kinds = enumerate(branches)
    return {
        "oneOf": [
            {
                **branch,
                "required": ["k"],
                "properties": {**branch["properties"], "k": {"const": kind}},
            }
            for kind, branch in kinds
        ]
    }


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (_MAP, {**_MAP, "additionalProperties": _SMALL}, True),
        ({"type": "object"}, open_object(a=NUMBER), True),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": _SMALL}, True),
        ({"type": "array", "items": open_object(a=TEXT)},
         {"type": "array", "items": open_object(a=TEXT, b=NUMBER)}, False),
        ({"prefixItems": [NUMBER]}, {"prefixItems": [_SMALL]}, True),
        ({"patternProperties": {"^x": NUMBER}}, {"patternProperties": {"^x": _SMALL}}, True),
        ({**open_object(a=NUMBER), "additionalProperties": NUMBER},
         {**open_object(a=NUMBER), "additionalProperties": _SMALL}, True),
        ({"allOf": [open_object(a=NUMBER)]}, {"allOf": [open_object(a=_SMALL)]}, True),
        ({"if": {"required": ["a"]}, "then": open_object(a=NUMBER)},
         {"if": {"required": ["a"]}, "then": open_object(a=_SMALL)}, True),
        ({"dependentSchemas": {"a": open_object(a=NUMBER)}},
         {"dependentSchemas": {"a": open_object(a=_SMALL)}}, True),
        ({"allOf": [open_object(a=NUMBER)]}, {"allOf": [open_object(a=NUMBER, b=TEXT)]}, False),
        (open_object(a=open_object(b=TEXT)), open_object(a=open_object(b=TEXT, c=TEXT)), False),
        (open_object(z=NUMBER), open_object(z=_SMALL, **{f"a{at}": TEXT for at in range(12)}),
         True),
        ({**open_object(a=TEXT), "patternProperties": {"^x": NUMBER}},
         {**open_object(a=TEXT, b=TEXT), "patternProperties": {"^x": NUMBER}}, False),
        (_nullable(open_object(b=TEXT)), _nullable(open_object(b=TEXT, c=TEXT)), False),
        (_nullable(open_object(b=NUMBER)), _nullable(open_object(b=_SMALL, c=TEXT)), True),
        (_union(open_object(x=TEXT), open_object(y=NUMBER)),
         _union(open_object(x=TEXT, z=TEXT), open_object(y=NUMBER)), False),
        (_union(open_object(x=TEXT), open_object(y=NUMBER)),
         _union(open_object(x=TEXT, z=TEXT), open_object(y=_SMALL)), True),
    ],
)  # fmt: skip
def test_stored_data_that_is_refused(
    old: Schema, new: Schema, breaks: bool, tmp_path: Path
) -> None:
    """What the old version declares is stored, whichever keyword does; a new member is not."""
    found = compared(tmp_path, [old], [new])
    assert bool(found) is breaks


def test_many_new_members(tmp_path: Path) -> None:
    """New members are passed over together, however many there are, also in many objects."""
    wider = open_object(z=_SMALL, **{f"a{at}": TEXT for at in range(120)})
    [found] = compared(tmp_path / "members", [open_object(z=NUMBER)], [wider])
    assert found.startswith("the new version refuses a stored event at /z")
    old, new = (
        open_object(z=last, **{f"a{at}": open_object(b=TEXT, **more) for at in range(101)})
        for last, more in ((NUMBER, {}), (_SMALL, {"c": TEXT}))
    )
    [found] = compared(tmp_path / "objects", [old], [new])
    assert found.startswith("the new version refuses a stored event at /z")


@pytest.mark.parametrize(
    ("old", "new", "is_told"),
    [
        ({"renamed": {"a": "b"}}, {"removed": ["a"]}, True),
        ({"renamed": {"a": "b"}}, {"upcaster": True}, True),
        ({"removed": ["a"]}, {"removed": ["a"]}, False),
    ],
)
def test_older_data_that_is_read_in_another_way(
    old: Schema, new: Schema, is_told: bool, tmp_path: Path
) -> None:
    """A new way to read stored data is a warning; a further member of the data is none."""
    data = open_object(b=NUMBER), open_object(b=NUMBER, c=TEXT)
    contracts = [
        read(contract(tmp_path / name, each, {"data": open_object(a=NUMBER), **version}))
        for name, each, version in zip(("old", "new"), data, (old, new), strict=True)
    ]
    found = [each.rule.id for each in compare(*contracts).findings]
    assert ("stored-event-changed" in found) is is_told
