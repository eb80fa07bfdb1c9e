"""Text -> JSON values, with everything refused that JSON has not; every problem is noted at once.

YAML is read from PyYAML's events: nothing but JSON's types can come out, and no object, tag or
alias is ever made, so that a contract can neither run code nor grow when it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.parser.syntax.builder import Builder
from weenats_codegen.parser.syntax.events import Flaw, Parsed, Unreadable
from weenats_codegen.parser.syntax.json_events import json_events
from weenats_codegen.parser.syntax.yaml_events import yaml_events

if TYPE_CHECKING:
    from pathlib import PurePath

__all__ = ["SUFFIXES", "Flaw", "Parsed", "Unreadable", "parse", "parse_json", "parse_yaml"]

SUFFIXES = (".yaml", ".yml", ".json")
"""What a file of a contract may be called."""


def parse_yaml(text: str) -> Parsed:
    """Read YAML 1.2 as far as it is JSON; raise Unreadable if it is no YAML."""
    return Builder().build(yaml_events(text))


def parse_json(text: str) -> Parsed:
    """Read JSON; raise Unreadable if it is no JSON."""
    return Builder().build(json_events(text))


def parse(path: PurePath, content: bytes) -> Parsed:
    """Read the content of a file by the suffix of its name; raise Unreadable if that fails."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            Flaw("", f"is not UTF-8 (byte {error.start})", "save it as UTF-8")
        ) from None
    return parse_json(text) if path.suffix == ".json" else parse_yaml(text)
