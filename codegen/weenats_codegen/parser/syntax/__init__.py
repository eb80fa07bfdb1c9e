"""Text -> JSON values; whatever JSON cannot express is refused, and every error is reported.

YAML is read from PyYAML's events: only the types of JSON can result, and no object, tag or alias
is ever created, so that reading a contract cannot run code or exhaust memory.
"""

from __future__ import annotations

from typing import Final

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.syntax.builder import Builder, Parsed
from weenats_codegen.parser.syntax.json_reader import read_json
from weenats_codegen.parser.syntax.yaml_reader import read_yaml

__all__ = ["MAX_BYTES", "SUFFIXES", "Parsed", "parse", "parse_json", "parse_yaml"]

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""The file name extensions of contracts and schemas."""
MAX_BYTES: Final = 1024 * 1024
"""The size of the largest file that is parsed."""


def parse_yaml(text: str, file: str = "") -> Parsed:
    """Parse YAML 1.2 that is limited to what JSON can express.

    Raises:
        ContractError: The text is not valid YAML, or is nested too deeply.
    """
    builder = Builder(file)
    read_yaml(text, builder)
    return builder.parsed


def parse_json(text: str, file: str = "") -> Parsed:
    """Parse JSON.

    Raises:
        ContractError: The text is not valid JSON, or is nested too deeply.
    """
    builder = Builder(file)
    read_json(text, builder)
    return builder.parsed


def parse(file: str, content: bytes) -> Parsed:
    """Parse the content of a file according to its file name extension.

    Raises:
        ContractError: The content cannot be parsed.
    """
    if len(content) > MAX_BYTES:
        raise _error(file, "is larger than 1 MiB", "split it into several files")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(file, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    return parse_json(text, file) if file.endswith(".json") else parse_yaml(text, file)


def _error(file: str, message: str, remedy: str) -> ContractError:
    return ContractError([Diagnostic(Location(file), message, remedy)])
