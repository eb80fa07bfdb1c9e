"""YAML text -> events. PyYAML's parser reads it; its constructors, which make objects, do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from weenats_codegen.parser.diagnostics import shown
from weenats_codegen.parser.syntax.events import (
    Close,
    Event,
    Flaw,
    Open,
    Refused,
    Scalar,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def yaml_events(text: str) -> Iterator[Event]:
    """Read YAML; raise Unreadable if it is none."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            yield from _translate(event)
    except yaml.YAMLError as error:
        raise Unreadable(Flaw("", f"is no YAML ({_why(error)})", "mend its syntax")) from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF"
        raise Unreadable(
            Flaw("", "is no YAML (an escaped character does not exist)", "mend its syntax")
        ) from None


def _translate(event: yaml.Event) -> Iterator[Event]:
    if isinstance(event, yaml.AliasEvent):
        yield Refused(f"is an alias (*{event.anchor})", "share schemas by $ref")
        yield Scalar("", plain=True)
        return
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        yield Refused(f"has an anchor (&{event.anchor})", "share schemas by $ref")
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        if event.tag is not None:
            yield Refused(f"has a tag ({shown(event.tag)})", "remove it: values are JSON's")
        if isinstance(event, yaml.ScalarEvent):
            yield Scalar(event.value, plain=event.implicit[0])
        else:
            yield Open(is_mapping=isinstance(event, yaml.MappingStartEvent))
    elif isinstance(event, yaml.CollectionEndEvent):
        yield Close()


def _why(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    text = str(problem or "unknown syntax")
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return "".join(c if c.isprintable() else "?" for c in f"{text}{where}")
