"""Text -> JSON values; whatever JSON cannot express is refused, and every error is reported.

YAML is read from PyYAML's events: only the types of JSON can result, and no object, tag or alias
is ever created, so that reading a contract cannot run code or exhaust memory.
"""

from typing import Final

from weenats_codegen.parser.syntax.builder import Builder, Parsed
from weenats_codegen.parser.syntax.json_reader import parse_json
from weenats_codegen.parser.syntax.yaml_reader import parse_yaml

__all__ = ["MAX_BYTES", "SUFFIXES", "Parsed", "parse", "parse_json", "parse_yaml"]

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""The file name extensions of contracts and schemas."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""The size of the largest file that is parsed."""
_MAX_YAML_BYTES: Final = 1024 * 1024
"""The size of the largest YAML file, which takes ten times as long to parse."""


def parse(file: str, content: bytes) -> Parsed:
    """Parse the content of a file according to its file name extension.

    Raises:
        ContractError: The content cannot be parsed.
    """
    is_json = file.endswith(".json")
    if len(content) > MAX_BYTES:
        raise Builder(file).error("is larger than 16 MiB", "split it into several files")
    if len(content) > _MAX_YAML_BYTES and not is_json:
        remedy = "write it as JSON, or split it into several files"
        raise Builder(file).error("is YAML of more than 1 MiB", remedy)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte {error.start})"
        raise Builder(file).error(message, "save it as UTF-8") from None
    return parse_json(text, file) if is_json else parse_yaml(text, file)
