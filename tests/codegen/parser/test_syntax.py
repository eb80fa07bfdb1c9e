"""Parsing YAML and JSON: the result is a JSON value, with flaws, or Unreadable."""

import contextlib
import json
import math
from decimal import Decimal

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.syntax import Parsed, parse, parse_json, parse_yaml

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner)
    ),
    max_leaves=20,
)
YAML_ALPHABET = st.sampled_from(
    [
        *"ab01.-:?!&*<>|{}[],#'\"\\%@`~=\n\t \ufeff\x00\x85é",
        *("<<", "!!python/object:os.x ", "\\ud83d", "---\n", "...\n", "\\UFFFFFFFF"),
    ]
)


def is_json(value: object) -> bool:
    """Whether a value can be represented in JSON."""
    match value:
        case None | bool() | int():
            return True
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return math.isfinite(value)
        case list():
            return all(map(is_json, value))
        case dict():
            return all(isinstance(key, str) and is_json(key) for key in value) and all(
                map(is_json, value.values())
            )
        case _:
            return False


@given(st.text() | st.lists(YAML_ALPHABET).map("".join))
@example("a: &a [*a]")
@example("%YAML 1.1\n--- !!set {a, b}")
@example("? {a: b}\n: c")
@example("- " * 2000)
@example('"\\UFFFFFFFF"')
@example("9" * 5000)
@example("1e" + "9" * 300)
def test_any_text_parses_or_is_unreadable(text: str) -> None:
    """Any text either parses to a JSON value or raises Unreadable."""
    for read in (parse_yaml, parse_json):
        with contextlib.suppress(ContractError):
            assert is_json(read(text).value)


@given(st.binary())
def test_any_bytes_parse_or_are_unreadable(content: bytes) -> None:
    """Any bytes either parse to a JSON value or raise Unreadable."""
    for name in ("a.json", "a.yaml", "a.yml"):
        with contextlib.suppress(ContractError):
            assert is_json(parse(name, content).value)


@given(JSON)
def test_json_round_trip(value: object) -> None:
    """The output of `json.dumps` parses to the same value; large numbers as written."""
    text = json.dumps(value)
    value = json.loads(text, parse_float=lambda each: exact(Decimal(each)))
    assert parse_json(text) == Parsed(value, ())  # type: ignore[arg-type]


def exact(number: Decimal) -> float:
    """Return a number of `json.dumps` with all its digits, as an integer if it needs that."""
    return int(number) if abs(number) >= 2**53 else float(number)


@given(JSON)
def test_yaml_round_trip(value: object) -> None:
    """The output of PyYAML for JSON types parses to the same value, without flaws."""
    text = yaml.safe_dump(value, default_style='"')
    if "!!" not in text:
        assert parse_yaml(text) == Parsed(value, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("NO", "NO"),
        ("2024-01-01", "2024-01-01"), ("1:30", "1:30"), ("1_000", "1_000"), ("-0x1F", "-0x1F"),
        ("0x1F", 31), ("0o17", 15), ("0o8", "0o8"), ("0b1", "0b1"), ("0X1F", "0X1F"),
        ("010", 10), ("-1", -1), ("+1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("'1'", "1"), ('"true"', "true"), ("=", "="), ("1.0.0", "1.0.0"),
        ("|\n  a\n  b\n", "a\nb\n"), ('"\\ud83d\\ude00"', "😀"), ("NaN", "NaN"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    """Words such as `yes` and dates are strings; numbers are those of its core schema."""
    parsed = parse_yaml(text)
    assert parsed == Parsed(value, ())  # type: ignore[arg-type]
    assert type(parsed.value) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        ".nan",
        "-.inf",
        "+.INF",
        "1e999",
        "9" * 350,
        "9" * 4000,
        "0x" + "f" * 5000,
        ".nan: 1",
        "1e-99999999999999999999",
        "0e99999999999999999999",
    ],
)
def test_numbers_outside_json_are_flaws(text: str) -> None:
    """Numbers that JSON cannot represent are flaws."""
    assert len(parse_yaml(text).diagnostics) == 1


@pytest.mark.parametrize(
    "text", ["0.12345678901234567890", "-1.00000000000000000001", "1e-400", "0.12345678901234567"]
)
@pytest.mark.parametrize("keyword", ["const", "maximum", "multipleOf", "default"])
def test_digits_are_never_lost(text: str, keyword: str) -> None:
    """A number with more digits than a float holds is a flaw, in JSON and in YAML."""
    for parsed in (parse_yaml(f"{keyword}: {text}"), parse_json(f'{{"{keyword}": {text}}}')):
        assert [
            (each.location.pointer, each.message, each.remedy) for each in parsed.diagnostics
        ] == [
            (
                f"/{keyword}",
                "has more digits than a double-precision number holds",
                "write a finite number of at most 15 digits, or an integer",
            )
        ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12345678901234567890123456789", 12345678901234567890123456789), ("1e23", 10**23),
        ("9007199254740993.0", 2**53 + 1), ("1.7976931348623157E+308", 17976931348623157 * 10**292),
        ("0.10", 0.1), ("3.1415926535897931", 3.141592653589793), ("1.0", 1.0), ("5e-324", 5e-324),
    ],
)  # fmt: skip
def test_digits_are_kept(text: str, value: float) -> None:
    """Large whole numbers are integers, whatever their exponent; others have digits of a float."""
    for parsed in (parse_yaml(text), parse_json(text)):
        assert parsed == Parsed(value, ())
        assert type(parsed.value) is type(value)


@pytest.mark.parametrize("depth", [101, 500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_nesting_depth_is_limited(depth: int) -> None:
    """Text that is nested more than 100 levels deep raises Unreadable."""
    for read in (parse_json, parse_yaml):
        with pytest.raises(ContractError, match="nested more than 100 levels"):
            read("[" * depth + "]" * depth)


def test_flaws_have_pointers() -> None:
    """Every flaw has a JSON pointer, in lists and mappings, for keys and values."""
    parsed = parse_yaml("a/b: [1, {c: &x 2, c: 3}]\n5: !t 6\n")
    assert [(each.location.pointer, each.message) for each in parsed.diagnostics] == [
        ("/a~1b/1/c", "has an anchor (&x)"),
        ("/a~1b/1/c", "appears twice"),
        ("", "has the key 5, which is not a string"),
        ("/5", 'has a tag ("!t")'),
    ]
    assert parsed.value == {"a/b": [1, {"c": 2}], "5": "6"}


def test_aliases_are_not_expanded() -> None:
    """YAML aliases are not expanded, and one of each is reported: no billion laughs."""
    laughs = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
    )
    parsed = parse_yaml(laughs)
    assert len(json.dumps(parsed.value)) < 1000
    assert len(parsed.diagnostics) == 10 + 9
    assert parsed.diagnostics[1].message == "has an anchor (&b)"
    assert parsed.diagnostics[2].message == "is an alias (*a)"
