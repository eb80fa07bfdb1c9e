"""Bundling: what references lead to, what definitions mean, and what they are called."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from codegen.ir.schema_files import bundle, bundle_files, validator
from weenats_codegen.ir.bundle import judge_text, references, without_descriptions
from weenats_codegen.ir.bundler import Direction, bundle_contract
from weenats_codegen.parser.source import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def members(**properties: object) -> dict[str, Any]:
    """Return an object schema."""
    return {"type": "object", "properties": properties}


def messages(made: Any) -> list[str]:
    """Return the problems of a bundle."""
    return [f"{each.location.pointer}: {each.message}" for each in made.diagnostics]


def test_references_lead_to_definitions(tmp_path: Path) -> None:
    """Each target of a `$ref` is one definition; inline schemas stay where they are."""
    shop = {**members(a=TEXT), "$defs": {"big-dog": members(b=NUMBER)}}
    schema = members(
        a={"$ref": "pet-shop.json"},
        b={"$ref": "pet-shop.json#/$defs/big-dog", "description": "Barks."},
        c={"$ref": "chain.json"},
        d=members(inline={"type": "array", "items": {"$ref": "pet-shop.json"}}),
    )
    made = bundle(tmp_path, schema, **{"pet-shop": shop, "chain": {"$ref": "pet-shop.json"}})
    assert list(made.definitions) == ["BigDog", "PetShop", "Root"]
    assert made.definitions["Root"] == members(
        a={"$ref": "#/$defs/PetShop"},
        b={"$ref": "#/$defs/BigDog", "description": "Barks."},
        c={"$ref": "#/$defs/PetShop"},
        d=members(inline={"type": "array", "items": {"$ref": "#/$defs/PetShop"}}),
    )
    assert made.locations["BigDog"].pointer == "/$defs/big-dog"


def test_root_that_is_a_reference_has_its_target_name(tmp_path: Path) -> None:
    """A member that is only a `$ref` has no definition of its own."""
    made = bundle(tmp_path, {"$ref": "#/$defs/tree", "$defs": {"tree": members(a=TEXT)}})
    assert list(made.names.values()) == ["Tree"]
    assert list(made.definitions) == ["Tree"]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        # pointers anywhere, also into what is only referred to
        ({"properties": {"a": NUMBER, "b": {"$ref": "#/properties/a"}}}, {"b": 1}, {"b": "1"}),
        ({"items": {"$ref": "#/$defs/x~1y/%25"}, "$defs": {"x/y": {"%": NUMBER}}}, [1], ["1"]),
        ({"items": {"$ref": "#/prefixItems/0"}, "prefixItems": [NUMBER]}, [1, 2], [1, "2"]),
        # anchors and resources with identifiers
        ({"$ref": "#here", "$defs": {"a": {"$anchor": "here", **NUMBER}}}, 1, "1"),
        (
            {
                "$id": "https://example.com/root",
                "$ref": "part",
                "$defs": {"a": {"$id": "part", "$ref": "#/$defs/b", "$defs": {"b": NUMBER}}},
            },
            1,
            "1",
        ),
        ({"$ref": "urn:a#b", "$defs": {"a": {"$id": "urn:a", "not": {"$anchor": "b"}}}}, 1, None),
        # recursion
        ({"items": {"$ref": "#"}, "type": "array"}, [[], [[]]], [[1]]),
        # older drafts
        (
            {
                "$schema": DRAFT_7,
                "$ref": "#/definitions/a",
                "maximum": 3,
                "definitions": {"a": NUMBER},
            },
            9,
            "9",
        ),
        ({"$schema": DRAFT_7, "items": [NUMBER], "additionalItems": TEXT}, [1, "a"], [1, 2]),
        ({"$schema": DRAFT_7, "additionalItems": TEXT}, [1], None),
        ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"$schema": DRAFT_7, "dependencies": {"a": {"required": ["b"]}}}, {}, {"a": 1}),
        ({"$schema": DRAFT_7, "$ref": "#x", "definitions": {"a": {"$id": "#x", **NUMBER}}}, 1, "1"),
        ({"$schema": DRAFT_4, "minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"$schema": "https://json-schema.org/draft-04/schema", "const": 1}, 2, None),
        ({"$schema": DRAFT_4, "minimum": 1, "exclusiveMinimum": False}, 1, 0),
        ({"$schema": DRAFT_4, "const": 1, "if": False}, 2, None),
        (
            {
                "$schema": DRAFT_4,
                "id": "http://example.com/a/root.json",
                "allOf": [{"$ref": "part.json"}],
                "definitions": {"p": {"id": "part.json", "type": "integer"}},
            },
            1,
            "1",
        ),
        # what files without $schema may use of other dialects
        ({"definitions": {"a": NUMBER}, "items": {"$ref": "#/definitions/a"}}, [1], ["1"]),
        ({"type": "string", "nullable": True}, None, 1),
        ({"nullable": True, "allOf": [NUMBER]}, None, "1"),
        ({"minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"items": [NUMBER]}, [1, "x"], ["1"]),
        ({"$schema": "https://example.com/private", "items": [NUMBER]}, [1, "x"], ["1"]),
        # ... and those with one may not
        ({"$schema": DRAFT_2020, "type": "string", "nullable": True}, "a", None),
        # counts may be written as floats
        ({"minLength": 2.0, "multipleOf": 2.0}, "aa", "a"),
        # keywords that need others
        ({"then": False, "else": False, "minContains": 9}, 1, None),
        ({"$schema": DRAFT_2019, "unevaluatedItems": False, "contains": NUMBER}, "x", [1]),
        ({"$schema": DRAFT_2020, "unevaluatedItems": False, "contains": NUMBER}, [1], ["a"]),
    ],
)  # fmt: skip
def test_definitions_mean_what_the_source_says(
    tmp_path: Path, schema: dict[str, Any], good: object, bad: object
) -> None:
    """A bundle accepts and refuses what its source does (None: nothing is refused)."""
    made = bundle(tmp_path, schema)
    assert messages(made) == []
    judge = validator(made, next(iter(made.names.values())))
    assert judge.is_valid(good)
    if bad is not None or schema.get("type") == "string":
        assert not judge.is_valid(bad)


@pytest.mark.parametrize("draft", [DRAFT_7, DRAFT_2019, DRAFT_2020])
def test_meta_schemas_need_no_network(tmp_path: Path, draft: str) -> None:
    """A reference to a meta-schema is resolved, and enforced all the way down."""
    made = bundle(tmp_path, {"$schema": draft, "$ref": draft})
    assert messages(made) == []
    judge = validator(made, next(iter(made.names.values())))
    assert judge.is_valid({"items": {"minLength": 1}})
    assert not judge.is_valid({"items": {"not": {"minLength": -1}}})


def test_remote_reference_that_is_vendored(tmp_path: Path) -> None:
    """A URL leads to the file of the folder that has it as its `$id`, wherever the file is."""
    (tmp_path / "vendor/deep").mkdir(parents=True)
    vendored = {"$id": "https://example.com/v1/money.json", "$defs": {"amount": NUMBER}}
    (tmp_path / "vendor/deep/x.json").write_text(json.dumps(vendored))
    (tmp_path / "vendor/broken.json").write_text("{")
    made = bundle(tmp_path, {"$ref": "https://example.com/v1/money.json#/$defs/amount"})
    assert messages(made) == []
    assert list(made.definitions) == ["Amount"]


def test_relative_reference_in_published_file(tmp_path: Path) -> None:
    """Files whose `$id` is where they are published refer to files beside them."""
    schema = {"$id": "https://example.com/v1/root.json", "$ref": "money.json"}
    made = bundle(tmp_path, schema, money=NUMBER)
    assert list(made.definitions) == ["Money"]


@pytest.mark.parametrize(
    ("version", "is_strict"), [({"openapi": "3.0.3"}, True), ({"openapi": "3.1.0"}, False)]
)
def test_schemas_of_openapi_documents(
    tmp_path: Path, version: dict[str, str], *, is_strict: bool
) -> None:
    """Schemas inside an OpenAPI document are read in the dialect of its version."""
    pet = {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/components/schemas/Name", "maxLength": 1},
            "age": {"type": "integer", "nullable": True, "example": 3},
        },
    }
    api = {**version, "components": {"schemas": {"Pet": pet, "Name": TEXT}}}
    made = bundle(tmp_path, {"$ref": "api.json#/components/schemas/Pet"}, api=api)
    assert messages(made) == []
    assert list(made.definitions) == ["Name", "Pet"]
    judge = validator(made, "Pet")
    assert judge.is_valid({"name": "a", "age": None})
    assert judge.is_valid({"name": "ab"}) == is_strict  # beside $ref nothing counts in 3.0
    assert not judge.is_valid({"name": 1})


def test_identifier_in_the_same_file_counts(tmp_path: Path) -> None:
    """A resource that several files hold in different versions is that of the own file."""

    def document(inner: object) -> dict[str, Any]:
        resource = {"$id": "https://example.com/inner", "anyOf": [inner]}
        return {"items": {"$ref": "https://example.com/inner"}, "$defs": {"x": resource}}

    schema = {"properties": {"a": {"$ref": "a.json"}, "b": {"$ref": "b.json"}}}
    judge = validator(bundle(tmp_path, schema, a=document(TEXT), b=document(NUMBER)))
    assert judge.is_valid({"a": ["x"], "b": [1]})
    assert not judge.is_valid({"a": [1]})
    assert not judge.is_valid({"b": ["x"]})


def test_ambiguous_identifier_is_a_problem(tmp_path: Path) -> None:
    """Different schemas with one `$id` cannot be referred to; equal copies can."""
    uri = "https://example.com/a"
    one, two = {"$id": uri, **NUMBER}, {"$id": uri, **TEXT}
    assert messages(bundle(tmp_path, {"$ref": uri}, a=one, b=one)) == []
    (message,) = messages(bundle(tmp_path, {"$ref": uri}, a=one, b=two))
    assert "is the $id of different schemas" in message


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "#/$defs/x"}, 'the $ref "#/$defs/x" refers to a schema that does not exist'),
        ({"$ref": "#x"}, 'the $ref "#x" refers to a schema that does not exist'),
        ({"$ref": "x.json"}, 'the $ref "x.json" refers to a file that does not exist'),
        ({"$ref": "#/type", "type": "object"}, "refers to a value that is not a schema"),
        ({"items": {"$ref": "#/$defs"}, "$defs": {}}, "refers to schemas by name, not to a schema"),
        ({"$ref": "https://example.com/x"}, 'the $ref "https://example.com/x" is a URL'),
        ({"$id": "https://example.com/y", "$ref": "x"}, "is not the name of a JSON or YAML file"),
        ({"$id": "https://example.com/y", "$ref": "x.json"}, "is the URL https://example.com/x.json"),
        ({"$ref": "file:///etc/passwd"}, "is a file: URL"),
        ({"$ref": "contract:///root.yaml"}, "is a URL"),
        ({"$ref": "../x.json"}, "leads out of the folder that holds the contracts"),
        ({"$ref": "..%2fx.json"}, "leads out of the folder that holds the contracts"),
        ({"$ref": "/x.json"}, "is an absolute path"),
        ({"$ref": "#"}, 'the $ref "#" leads to a circle of $refs'),
        (
            {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
            "leads to a circle of $refs",
        ),
    ],
)  # fmt: skip
def test_unresolvable_reference_is_a_problem(
    tmp_path: Path, schema: dict[str, Any], message: str
) -> None:
    """What cannot be resolved is reported at the reference."""
    found = messages(bundle(tmp_path, schema))
    assert found
    assert all(message in each for each in found)


def test_dynamic_references_are_compiled_away(tmp_path: Path) -> None:
    """A generic list has a definition for each type of its items, with names of its own."""
    generic = {
        "$schema": DRAFT_2020,
        "$id": "https://example.com/list",
        "type": "array",
        "items": {"$dynamicRef": "#T"},
        "$defs": {"any": {"$dynamicAnchor": "T"}},
    }

    def of(name: str, item: object) -> dict[str, Any]:
        item = {"$dynamicAnchor": "T", **item} if isinstance(item, dict) else item
        return {
            "$schema": DRAFT_2020,
            "$id": f"https://example.com/{name}",
            "properties": {"list": {"$ref": "list"}},
            "$defs": {"item": item},
        }

    schema = {"properties": {name: {"$ref": f"{name}.json"} for name in ("texts", "numbers")}}
    made = bundle(
        tmp_path, schema, list=generic, texts=of("texts", TEXT), numbers=of("numbers", NUMBER)
    )
    assert messages(made) == []
    assert "$dynamicRef" not in json.dumps(made.schema)
    judge = validator(made)
    assert judge.is_valid({"texts": {"list": ["a"]}, "numbers": {"list": [1]}})
    assert not judge.is_valid({"texts": {"list": [1]}})
    assert not judge.is_valid({"numbers": {"list": ["a"]}})
    assert {"NumbersList", "TextsList"} <= made.definitions.keys()


def test_recursive_reference_follows_the_outermost(tmp_path: Path) -> None:
    """`$recursiveRef` of draft 2019-09 leads to the schema that extends a tree."""
    tree = {
        "$schema": DRAFT_2019,
        "$recursiveAnchor": True,
        "properties": {"nodes": {"items": {"$recursiveRef": "#"}}},
    }
    strict = {
        "$schema": DRAFT_2019,
        "$recursiveAnchor": True,
        "$ref": "tree.json",
        "required": ["nodes"],
    }
    made = bundle(tmp_path, strict, tree=tree)
    assert not validator(made).is_valid({"nodes": [{}]})
    assert validator(bundle(tmp_path, tree)).is_valid({"nodes": [{}]})


USER = {
    "type": "object",
    "required": ["id", "password", "name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "password": {"allOf": [{"$ref": "#/$defs/secret"}]},
        "name": TEXT,
    },
    "$defs": {"secret": {"type": "string", "writeOnly": True}},
}


def test_read_only_members_are_required_in_replies(tmp_path: Path) -> None:
    """A readOnly member need not be in a request, a writeOnly one need not be in a reply."""
    (tmp_path / "user.json").write_text(json.dumps(USER))
    for name in ("ask", "answer"):
        (tmp_path / f"{name}.json").write_text(json.dumps(members(user={"$ref": "user.json"})))
    made = bundle_files(tmp_path, {"ask.json": Direction.REQUEST, "answer.json": Direction.REPLY})
    assert list(made.definitions) == ["Answer", "Ask", "Secret", "User", "UserInput"]
    ask, answer = validator(made, "Ask"), validator(made, "Answer")
    assert ask.is_valid({"user": {"name": "Ada", "password": "x"}})
    assert not ask.is_valid({"user": {"name": "Ada"}})
    assert answer.is_valid({"user": {"name": "Ada", "id": 1}})
    assert not answer.is_valid({"user": {"name": "Ada", "password": "x"}})


def test_read_only_member_required_beside_its_parts(tmp_path: Path) -> None:
    """Members are found in the parts of an `allOf`, and parts may require members of the whole."""
    parts: list[object] = [{"$ref": "#/$defs/base"}, {"required": ["b"]}]
    base = {"properties": {"a": {"readOnly": True}}}
    schema = {
        "allOf": parts,
        "required": ["a"],
        "properties": {"b": {"readOnly": True}},
        "$defs": {"base": base},
    }
    assert validator(bundle(tmp_path, schema, Direction.REQUEST)).is_valid({})
    assert not validator(bundle(tmp_path, schema, Direction.REPLY)).is_valid({"a": 1})


def test_used_one_way_keeps_its_name(tmp_path: Path) -> None:
    """A definition that only requests use has no suffix."""
    made = bundle(tmp_path, members(user={"$ref": "user.json"}), Direction.REQUEST, user=USER)
    assert list(made.definitions) == ["Root", "Secret", "User"]


PETS = {
    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}, {"$ref": "#/$defs/Fish"}],
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "hound": "Dog"}},
    "$defs": {
        "Cat": members(lives=NUMBER),
        "Dog": members(barks={"type": "boolean"}),
        "Fish": {"properties": {"kind": {"const": "f"}}, "required": ["kind"]},
    },
}


def test_discriminator_mapping_has_a_meaning(tmp_path: Path) -> None:
    """Each branch demands its names, unless it restricts the member itself."""
    made = bundle(tmp_path, PETS)
    judge = validator(made)
    for name in ("cat", "hound", "f"):
        assert judge.is_valid({"kind": name})
    for value in ({}, {"kind": "Cat"}, {"kind": "dog"}, {"kind": "Fish"}):
        assert not judge.is_valid(value)
    root = made.definitions["Root"]
    assert isinstance(root, dict)
    mapping = {"cat": "#/$defs/Cat", "hound": "#/$defs/Dog"}
    assert root["discriminator"] == {"propertyName": "kind", "mapping": mapping}


def test_nullable_keeps_the_discriminator(tmp_path: Path) -> None:
    """The branches of a union that may be null demand their names."""
    judge = validator(bundle(tmp_path, {**PETS, "nullable": True}))
    assert [judge.is_valid(each) for each in (None, {"kind": "cat"}, {"kind": "Cat"}, {})] == [
        *(True, True),
        *(False, False),
    ]


def test_discriminator_of_json_schema_is_an_annotation(tmp_path: Path) -> None:
    """JSON Schema itself does not know the discriminator: it has no meaning with `$schema`."""
    made = bundle(tmp_path, {**PETS, "$schema": DRAFT_2020})
    assert validator(made).is_valid({"kind": "f"}) is False
    assert validator(made).is_valid({"lives": 1, "barks": 1})


def test_names_do_not_depend_on_order(tmp_path: Path) -> None:
    """Different schemas with one name get names of their files and parents."""
    files = {
        "shop": {"$defs": {"item": NUMBER, "x": {"$defs": {"item": {"const": 1}}}}},
        "bank": {"$defs": {"item": TEXT}},
        "item": {"type": "boolean"},
    }
    refs = [
        "shop.json#/$defs/item",
        "shop.json#/$defs/x/$defs/item",
        "bank.json#/$defs/item",
        "item.json",
    ]
    seen: set[str] = set()
    for seed in range(4):
        random.Random(seed).shuffle(refs)  # noqa: S311 - any order
        made = bundle(tmp_path, {"anyOf": [{"$ref": ref} for ref in refs]}, **files)
        assert list(made.definitions) == ["BankItem", "Item", "Root", "ShopItem", "XItem"]
        seen.add(
            json.dumps(
                {name: made.definitions[name] for name in made.definitions if name != "Root"}
            )
        )
    assert len(seen) == 1


def test_equal_schemas_of_one_name_are_one(tmp_path: Path) -> None:
    """Copies of a schema, and of all that it refers to, are one definition."""
    copy = {
        "$defs": {"node": members(next={"$ref": "#/$defs/node"}, item={"$ref": "#/$defs/item"})}
    }
    one = {**copy, "$defs": {**copy["$defs"], "item": TEXT}}
    other = {**copy, "$defs": {**copy["$defs"], "item": NUMBER}}
    schema = {"prefixItems": [{"$ref": f"{name}.json#/$defs/node"} for name in "abc"]}
    made = bundle(tmp_path, schema, a=one, b=one, c=one)
    assert list(made.definitions) == ["Item", "Node", "Root"]
    made = bundle(tmp_path, schema, a=one, b=one, c=other)
    assert list(made.definitions) == ["AItem", "ANode", "CItem", "CNode", "Root"]


def test_annotations_are_kept_and_other_keywords_dropped(tmp_path: Path) -> None:
    """Annotations stay as they are written, without invisible characters; the rest goes."""
    kept = {
        "title": "T",
        "description": "D",
        "examples": [1],
        "default": {"$ref": "x"},
        "deprecated": True,
        "readOnly": True,
        "contentEncoding": "base64",
        "x-enum-varnames": ["A"],
        "format": "whatever",
    }
    dropped = {"$comment": "C", "$id": "urn:a", "x-other": 1, "contentSchema": {}, "markdown": ""}
    made = bundle(tmp_path, {"items": {**kept, **dropped, "description": "D\u202e\u0007"}})
    assert made.definitions["Root"] == {"items": kept}
    assert judge_text(made, ["Root"]) == '{"$defs":{"Root":{"items":{}}}}'


def test_judge_text_holds_what_roots_reach(tmp_path: Path) -> None:
    """The text has only what the roots need, only formats that assert, and no line breaks."""
    schema = {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"format": "date"}, "b": True}}
    made = bundle(tmp_path, schema)
    assert judge_text(made, ["Root"]) == (
        '{"$defs":{"A":{"format":"date"},"Root":{"items":{"$ref":"#/$defs/A"}}}}'
    )
    assert list(references(made.definitions["Root"])) == ["A"]


def test_descriptions_are_removed_and_properties_kept(tmp_path: Path) -> None:
    """Only text for people is removed; members and defaults that look like it are kept."""
    schema = {
        "title": "T",
        "properties": {"description": {"description": "D", "default": {"title": "kept"}}},
        "anyOf": [{"examples": [1], "type": "object"}],
    }
    assert without_descriptions(bundle(tmp_path, schema))["Root"] == {
        "properties": {"description": {"default": {"title": "kept"}}},
        "anyOf": [{"type": "object"}],
    }


@pytest.mark.slow
def test_long_chains_and_wide_schemas(tmp_path: Path) -> None:
    """Chains longer than Python's stack, and thousands of members, are bundled."""
    count = 3000
    chain: dict[str, Any] = {
        f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(count)
    }
    refs = {f"r{n}": {"$ref": f"#/$defs/r{n + 1}"} for n in range(count)}
    wide = {f"m{n}": {"type": "integer"} for n in range(count)}
    ends = {f"d{count}": True, f"r{count}": NUMBER}
    schema = {
        "properties": {**wide, "c": {"$ref": "#/$defs/d0"}, "r": {"$ref": "#/$defs/r0"}},
        "$defs": {**chain, **refs, **ends},
    }
    made = bundle(tmp_path, schema)
    assert messages(made) == []
    assert len(made.definitions) == count + 3


def test_too_many_variants_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamic references that multiply definitions end with a problem."""
    monkeypatch.setattr("weenats_codegen.ir.bundler._MAX_DEFINITIONS", 5)
    schema = {
        "anyOf": [{"$ref": f"#/$defs/{n}"} for n in range(9)],
        "$defs": {str(n): {"const": n} for n in range(9)},
    }
    (message,) = {each.partition(": ")[2] for each in messages(bundle(tmp_path, schema))}
    assert message == "needs more than 5 definitions"


@pytest.mark.slow
def test_too_many_dynamic_scopes_are_a_problem(tmp_path: Path) -> None:
    """Dynamic scopes that double with each step end with a problem, not with all of memory."""
    steps: dict[str, Any] = {"z12": {"$id": "http://x/z12", "$ref": "http://x/end"}}
    for at in range(12):
        branches = [{"$ref": f"http://x/a{at}"}, {"$ref": f"http://x/z{at + 1}"}]
        steps[f"z{at}"] = {"$id": f"http://x/z{at}", "anyOf": branches}
        steps[f"a{at}"] = {
            "$id": f"http://x/a{at}",
            "$defs": {"own": {"$dynamicAnchor": f"n{at}", "const": at}},
            "not": {"$ref": f"http://x/z{at + 1}"},
        }
    steps["end"] = {"$id": "http://x/end", "anyOf": [{"$dynamicRef": "#here"}],
                    "$defs": {"own": {"$dynamicAnchor": "here"}}}  # fmt: skip
    found = messages(bundle(tmp_path, {"$ref": "http://x/z0", "$defs": steps}))
    assert any("means different things in more than 256 dynamic scopes" in each for each in found)


def test_reference_with_keywords_in_an_operation(
    contract_of: Callable[..., dict[str, Any]],
    write_contract: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A payload that is a `$ref` beside other keywords keeps its reference."""
    payload = {"$ref": "#/$defs/text", "maxLength": 9}
    contract = contract_of(
        commands={"write": {"description": "Write it.", "payload": payload}},
        **{"$defs": {"text": TEXT}},
    )
    made = bundle_contract(load(write_contract(tmp_path, contract)))
    assert made.definitions["Write"] == {
        "description": "Write it.", "$ref": "#/$defs/Text", "maxLength": 9,
    }  # fmt: skip
