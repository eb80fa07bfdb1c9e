"""The rules of `weenats lint`: their examples, ignores, output and exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from testkit.calls import limit_calls
from testkit.documents import document
from weenats_codegen.cli.main import main
from weenats_codegen.ir.bundler import bundle_contract
from weenats_codegen.lint.linter import RULES, lint
from weenats_codegen.lint.parts import parts_of
from weenats_codegen.lint.rule import Rule
from weenats_codegen.lint.rules import WARNINGS, undeclared_required
from weenats_codegen.loading import read, report
from weenats_codegen.parser.source import load

HEAD = "service: things\nversion: 1.0.0\ndescription: Keeps things.\n"
EACH = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)


def write(folder: Path, members: str) -> Path:
    """Write a contract with some members into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(HEAD + members, encoding="utf-8")
    return folder


def found(folder: Path) -> list[tuple[str, str]]:
    """Return the rules that a contract breaks, with the pointers of the places."""
    return [(each.rule.id, each.diagnostic.location.pointer) for each in report(folder).findings]


def contract(**members: Any) -> str:
    """Return members of a contract as YAML."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in members.items())


def query(result: Any) -> dict[str, Any]:
    """Return queries with one that has a result."""
    return {"find": {"description": "Find it.", "result": result}}


def command(payload: Any) -> dict[str, Any]:
    """Return commands with one that has a payload."""
    return {"change": {"description": "Change it.", "payload": payload}}


@EACH
def test_wrong_example_breaks_the_rule(rule: Rule, tmp_path: Path) -> None:
    """What the page of a rule calls wrong breaks this rule, and no other."""
    assert {name for name, _ in found(write(tmp_path, rule.wrong))} == {rule.id}


@EACH
def test_right_example_is_clean(rule: Rule, tmp_path: Path) -> None:
    """What the page of a rule calls right breaks no rule."""
    assert found(write(tmp_path, rule.right)) == []


@EACH
def test_page_of_each_rule(rule: Rule, capsys: pytest.CaptureFixture[str]) -> None:
    """`--explain` shows why the rule exists, and both examples."""
    assert main(["lint", "--explain", rule.id]) == 0
    page = " ".join(capsys.readouterr().out.split())
    for text in (rule.summary, rule.why, rule.wrong, rule.right):
        assert " ".join(text.split()) in page


def test_table_of_rules_in_the_guide() -> None:
    """The guide lists every rule with its level and summary."""
    (table,) = (
        each for each in document("codegen/docs/lint.md").tables if each.header[0] == "rule"
    )
    expected = [(f"`{rule.id}`", rule.level, rule.summary) for rule in RULES.values()]
    assert list(table.rows) == expected


def test_rules_are_named_after_their_files() -> None:
    """A rule is where its id says."""
    folder = Path(lint.__code__.co_filename).parent / "rules"
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    assert files == {rule.id.replace("-", "_") for rule in WARNINGS}


TEXT: dict[str, Any] = {"type": "string", "maxLength": 9, "description": "A text."}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"required": ["a", "b"], "properties": {"a": TEXT}}, "/required/1"),
        ({"allOf": [{"properties": {"a": TEXT}}], "required": ["a"]}, ""),
        ({"allOf": [{"properties": {"a": TEXT}}], "required": ["b"]}, "/required/0"),
        ({"properties": {"a": TEXT, "b": TEXT}, "anyOf": [{"required": ["b"]}]}, ""),
        ({"properties": {"a": TEXT}, "anyOf": [{"properties": {"b": TEXT}}], "required": ["b"]},
         ""),
        ({"properties": {"a": TEXT}, "additionalProperties": TEXT, "required": ["b"]}, ""),
        ({"properties": {"a": TEXT}, "patternProperties": {"^b": TEXT}, "required": ["b"]}, ""),
        ({"properties": {"a": TEXT, "b": True}, "required": ["b"]}, ""),
        ({"required": ["b"]}, ""),
    ],
)  # fmt: skip
def test_required_members_that_are_declared_elsewhere(
    schema: dict[str, Any], place: str, tmp_path: Path
) -> None:
    """A required member may be declared by any schema for the same object."""
    members = contract(commands=command({"type": "object", "maxProperties": 9, **schema}))
    places = [at for rule, at in found(write(tmp_path, members)) if rule == "undeclared-required"]
    assert places == [f"/commands/change/payload{place}"] * bool(place)


def test_similar_names_are_looked_for_in_few_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many required members that are not declared all are found, at little cost."""
    limit_calls(monkeypatch, undeclared_required, "closest", 21)
    schema = {"type": "object", "maxProperties": 9, "properties": {"a": TEXT}}
    names = [f"b{number}" for number in range(100)]
    members = contract(commands=command({**schema, "required": names}))
    rules = [rule for rule, _ in found(write(tmp_path, members))]
    assert rules.count("undeclared-required") == 100


def test_errors_hide_warnings(tmp_path: Path) -> None:
    """A contract that cannot be generated shows its errors only."""
    members = contract(commands=command({"type": "string"}), queries=query({"type": "int"}))
    assert found(write(tmp_path, members)) == [("invalid-schema", "/queries/find/result/type")]


def test_missing_contract_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a contract is a failure, a broken file a finding."""
    assert main(["lint", str(tmp_path)]) == 1
    assert "contains no contract" in capsys.readouterr().err
    (tmp_path / "service.yaml").write_text("service: [")
    assert main(["lint", str(tmp_path), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["rule"], finding["level"]) == ("unreadable-file", "error")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings fail unless only errors shall; wrong usage is 2."""
    folder = str(write(tmp_path, contract(commands=command({"type": "string"}))))
    assert main(["lint", folder]) == 1
    printed = capsys.readouterr()
    assert printed.out == (
        f"warning unbounded-string {folder}/service.yaml#/commands/change/payload:"
        " is a string of any length in a request; add maxLength\n"
    )
    assert "1 warning;" in printed.err
    assert main(["lint", folder, "--fail-on", "error"]) == 0
    assert main(["lint", folder, "--fail-on", "never"]) == 2
    assert main(["lint", "--explain", "unbounded-strings"]) == 2
    assert "did you mean unbounded-string?" in capsys.readouterr().err


def test_json_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has every finding with its parts, and the counts."""
    folder = write(tmp_path, contract(commands=command({"type": "string"})))
    main(["lint", str(folder), "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "findings": [
            {
                "rule": "unbounded-string",
                "level": "warning",
                "file": f"{folder.as_posix()}/service.yaml",
                "pointer": "/commands/change/payload",
                "message": "is a string of any length in a request",
                "remedy": "add maxLength",
            }
        ],
        "errors": 0,
        "warnings": 1,
        "ignored": 0,
    }
    main(["lint", "--rules", "--json"])
    assert [each["rule"] for each in json.loads(capsys.readouterr().out)] == list(RULES)
    main(["lint", "--explain", "key-type", "--json"])
    assert json.loads(capsys.readouterr().out)["level"] == "error"


def test_list_of_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """`--rules` names every rule."""
    assert main(["lint", "--rules"]) == 0
    assert set(RULES) <= set(capsys.readouterr().out.split())


PAYLOAD = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "description": "A."},
        "b": {"type": "string", "description": "B."},
    },
}


@pytest.mark.parametrize(
    ("ignore", "remaining"),
    [
        ({}, []),
        ({"at": "#/commands/change"}, []),
        ({"at": "service.yaml#/commands/change/payload/properties/a"}, ["b"]),
        ({"at": "#/commands/change/payload/properties/"}, []),
    ],
)
def test_ignored_places(ignore: dict[str, str], remaining: list[str], tmp_path: Path) -> None:
    """An ignore accepts the findings at its place and inside it, without a place all."""
    entry = {"rule": "unbounded-string", "reason": "It is short.", **ignore}
    members = contract(commands=command(PAYLOAD), lint={"ignore": [entry]})
    folder = write(tmp_path, members)
    names = [pointer.rpartition("/")[2] for _, pointer in found(folder)]
    assert names == remaining
    assert report(folder).ignored == 2 - len(remaining)


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        ({"rule": "unbounded-sting"}, "unknown rule .*did you mean unbounded-string"),
        ({"rule": "anything"}, "unknown rule .*--rules"),
        ({"rule": "key-type"}, "is an error; correct"),
        ({"rule": "closed-reply"}, "not found in this contract"),
        ({"rule": "unbounded-string", "at": "#/commands/chang"}, "not found in .*/chang"),
        ({"rule": "unbounded-string", "at": "other.json#"}, "not found in .*other.json"),
    ],
)
def test_unused_ignore(ignore: dict[str, str], message: str, tmp_path: Path) -> None:
    """An ignore that accepts nothing is a warning that says why."""
    entry = {"reason": "It is short.", **ignore}
    members = contract(commands=command(PAYLOAD), lint={"ignore": [entry]})
    (finding,) = (
        each
        for each in report(write(tmp_path, members)).findings
        if each.rule.id == "unused-ignore"
    )
    assert finding.diagnostic.location.pointer == "/lint/ignore/0"
    assert re.search(message, str(finding.diagnostic))


@pytest.mark.parametrize(
    ("reason", "place"), [({}, ""), ({"reason": ""}, "/reason"), ({"reason": " "}, "/reason")]
)
def test_ignore_needs_a_reason(reason: dict[str, str], place: str, tmp_path: Path) -> None:
    """An ignore without a reason is an error, which `generate` refuses too."""
    ignore = {"rule": "unbounded-string", **reason}
    members = contract(commands=command(PAYLOAD), lint={"ignore": [ignore]})
    ((rule, pointer),) = found(write(tmp_path, members))
    assert (rule, pointer) == ("contract-format", f"/lint/ignore/0{place}")


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("payload", "rules"),
    [
        ({"type": ["string", "null"]}, ["unbounded-string"]),
        ({"type": "string", "pattern": "^[a-z*]{1,9}$"}, []),
        ({"type": "string", "pattern": "^[a-z]+$"}, ["unbounded-string"]),
        ({"type": "string", "pattern": "^a|b$"}, ["unbounded-string"]),
        ({"type": "string", "format": "uuid"}, []),
        ({"type": "string", "format": "uri"}, ["unbounded-string"]),
        ({"$ref": "#/$defs/text"}, ["unbounded-string"]),
        ({"$ref": "#/$defs/text", "maxLength": 9}, []),
        ({"allOf": [STRING, {"maxLength": 9}]}, []),
        ({"oneOf": [STRING, {"type": "null"}]}, ["unbounded-string"]),
        ({"type": "array", "items": {"type": "integer"}}, ["unbounded-array"]),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False}, []),
        ({"type": "array", "maxItems": 2, "items": STRING}, ["unbounded-string"]),
        ({"type": "object", "patternProperties": {"^a": True}}, ["unbounded-map"]),
        ({"type": "integer", "not": {"type": "string"}}, []),
        ({"type": "integer", "not": {"allOf": [{"$ref": "#/$defs/text"}]}}, []),
        (True, []),
        ({}, ["untyped-schema"]),
        ({"type": "object", "if": {"properties": {"a": {}}}}, []),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, ["ambiguous-one-of"]),
        ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, []),
        ({"type": "integer", "examples": [1, "x"]}, ["invalid-example"]),
        ({"type": "integer", "default": "x"}, ["invalid-example"]),
        ({"type": "object", "additionalProperties": False}, []),
    ],
)
def test_schemas_of_requests(payload: Any, rules: list[str], tmp_path: Path) -> None:
    """A schema of a request breaks exactly these rules."""
    defs = {"text": STRING} if "#/$defs/text" in str(payload) else {}
    members = contract(commands=command(payload), **({"$defs": defs} if defs else {}))
    assert [rule for rule, _ in found(write(tmp_path, members))] == rules


@pytest.mark.parametrize(
    ("result", "rules"),
    [
        (STRING, []),
        ({"type": "array", "items": STRING}, []),
        ({"type": "object", "unevaluatedProperties": False}, ["closed-reply"]),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/text"}}},
            ["missing-description"],
        ),
        ({"type": "object", "properties": {"a": {"const": 1}}}, []),
        (
            {
                "type": "object",
                "properties": {"unitPrice": {"type": "number", "description": "P."}},
            },
            ["float-for-money"],
        ),
        (
            {"type": "object", "properties": {"taxRate": {"type": "number", "description": "P."}}},
            [],
        ),
        (
            {
                "type": "object",
                "properties": {
                    "firstName": {"type": "string", "description": "F."},
                    "last_name": {"type": "string", "description": "L."},
                },
            },
            ["inconsistent-name"],
        ),
        (
            {
                "type": "object",
                "properties": {
                    "first_name": {"type": "string", "description": "F."},
                    "last_name": {"type": "string", "description": "L."},
                },
            },
            [],
        ),
    ],
)
def test_schemas_of_replies(result: Any, rules: list[str], tmp_path: Path) -> None:
    """A schema of a reply breaks exactly these rules."""
    members = contract(queries=query(result), **{"$defs": {"text": STRING}})
    assert [rule for rule, _ in found(write(tmp_path, members))] == rules


@pytest.mark.parametrize(
    ("key", "rules"),
    [
        ({"$ref": "#/$defs/text"}, []),
        ({"$ref": "#/$defs/any"}, ["key-type"]),
        ({"enum": ["a"]}, ["key-type"]),
        (True, ["key-type"]),
    ],
)
def test_keys_are_texts(key: Any, rules: list[str], tmp_path: Path) -> None:
    """The schema of a key says that it is a string, itself or by reference."""
    box = {"description": "A box.", "key": key, "commands": {"open": {"description": "Open it."}}}
    definitions = {
        "text": {"type": "string", "maxLength": 9},
        "any": True,
    }
    used = {name: part for name, part in definitions.items() if f"/{name}" in str(key)}
    folder = write(tmp_path, contract(aggregates={"box": box}, **{"$defs": used} if used else {}))
    assert [rule for rule, _ in found(folder) if rule == "key-type"] == rules


def test_member_of_any_type_needs_a_description(tmp_path: Path) -> None:
    """A reference to a schema that allows everything describes nothing; a variant is found once."""
    payload = {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "readOnly": True, "description": "The number."},
            "any": {"$ref": "#/$defs/any"},
            "wrong": {"type": "integer", "description": "W.", "examples": ["x"]},
        },
    }
    folder = write(
        tmp_path,
        contract(
            commands=command({"$ref": "#/$defs/both"}),
            queries=query({"$ref": "#/$defs/both"}),
            **{"$defs": {"any": True, "both": payload}},
        ),
    )
    assert sorted(rule for rule, _ in found(folder)) == ["invalid-example", "missing-description"]


def test_places_in_other_dialects(tmp_path: Path) -> None:
    """A finding is at a place of the file, whatever the dialect calls it."""
    result = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [{"type": "object", "additionalProperties": False}],
    }
    ((rule, pointer),) = found(write(tmp_path, contract(queries=query(result))))
    assert rule == "closed-reply"
    assert pointer == "/queries/find/result"


def test_aggregate_without_description(tmp_path: Path) -> None:
    """An aggregate needs a description of its own."""
    aggregate = {"state": {"type": "object"}, "queries": {"get": {"description": "Show it."}}}
    folder = write(tmp_path, contract(aggregates={"box": aggregate}))
    assert found(folder) == [("missing-description", "/aggregates/box")]


def test_new_contract_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `weenats new` writes breaks no rule, nor does the sample."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "orders"]) == 0
    assert main(["new", "--sample"]) == 0
    assert main(["lint"]) == 0


def test_recursive_schema(tmp_path: Path) -> None:
    """A schema that contains itself is looked at once."""
    tree = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "N."},
            "inner": {"$ref": "#/$defs/tree", "description": "I."},
        },
    }
    folder = write(
        tmp_path, contract(commands=command({"$ref": "#/$defs/tree"}), **{"$defs": {"tree": tree}})
    )
    assert found(folder) == [("unbounded-string", "/$defs/tree/properties/name")]


def test_page_of_a_list_query(tmp_path: Path) -> None:
    """What `page` makes of a query is not the author's to change; the item is."""
    queries = {"list": {"description": "List.", "page": True, "result": {"$ref": "#/$defs/thing"}}}
    thing = {"type": "object", "additionalProperties": False}
    folder = write(tmp_path, contract(queries=queries, **{"$defs": {"thing": thing}}))
    assert found(folder) == [("closed-reply", "/$defs/thing/additionalProperties")]


def test_closed_schema_of_requests_and_replies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remedy is a schema of the reply's own, since the shared one is right for requests."""
    thing = {"type": "object", "additionalProperties": False}
    commands = {
        "make": {
            "description": "Make.",
            "payload": {"$ref": "#/$defs/thing"},
            "result": {"$ref": "#/$defs/thing"},
        }
    }
    folder = write(tmp_path, contract(commands=commands, **{"$defs": {"thing": thing}}))
    assert found(folder) == [("closed-reply", "/$defs/thing/additionalProperties")]
    main(["lint", str(folder)])
    assert "give a reply one of its own, without additionalProperties" in capsys.readouterr().out


def test_library_of_two_contracts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with a library is shown once, and accepted by each contract for itself."""
    (tmp_path / "units").mkdir()
    (tmp_path / "units/name.json").write_text('{"type": "string"}')
    commands = command({"$ref": "../units/name.json"})
    for name in ("one", "two"):
        folder = write(tmp_path / name, contract(commands=commands))
        text = (folder / "service.yaml").read_text().replace("service: things", f"service: {name}")
        (folder / "service.yaml").write_text(text)
    assert main(["lint", str(tmp_path)]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert "units/name.json" in line
    ignore = {"rule": "unbounded-string", "at": "../units/name.json#", "reason": "Short."}
    folder = write(tmp_path / "one", contract(commands=commands, lint={"ignore": [ignore]}))
    assert found(folder) == []


def test_generate_shares_the_errors(tmp_path: Path) -> None:
    """What `generate` refuses are the findings of the level error."""
    folder = write(tmp_path, RULES["undeclared-name"].wrong)
    source = load(folder)
    refused = lint(source, bundle_contract(source))
    assert refused == [each.diagnostic for each in report(folder).findings]


def test_schema_of_many_operations_is_looked_at_once(tmp_path: Path) -> None:
    """A schema that many messages have is one part for each thing that it is there for."""
    shared = {"$ref": "#/$defs/shared"}
    commands = {
        f"c{at}": {"description": "Run.", "payload": shared, "result": shared} for at in range(9)
    }
    members = contract(commands=commands, **{"$defs": {"shared": {"type": "string"}}})
    parts = [*parts_of(read(write(tmp_path, members)).bundle)]
    assert sorted(part.role for part in parts) == ["reply", "request"]
