"""The line of a place in a file of a contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location


def line_of(location: Location) -> int | None:
    """Return the line of a place, counted from 1; that of what is around it if it does not exist.

    Args:
        location: The place.

    Returns:
        The line, None if the file cannot be read.
    """
    try:
        text = Path(location.file).read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    line: int | None = None if node is None else node.start_mark.line + 1
    for step in location.pointer.split("/")[1:]:
        found = _child(node, step.replace("~1", "/").replace("~0", "~"))
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, step: str) -> tuple[int, yaml.Node] | None:
    """Return the line and the node of a member or an item."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        item = node.value[int(step)]
        return item.start_mark.line + 1, item
    return None
