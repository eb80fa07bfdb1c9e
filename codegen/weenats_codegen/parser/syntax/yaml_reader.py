"""YAML, read by PyYAML's parser; its constructors, which create objects, are not used."""

import yaml

from weenats_codegen.parser.diagnostics import quoted
from weenats_codegen.parser.syntax.builder import Builder, Parsed


def parse_yaml(text: str, file: str = "") -> Parsed:
    """Parse YAML 1.2 that is limited to what JSON can express.

    Args:
        text: The text.
        file: The name of the file, for diagnostics.

    Raises:
        ContractError: The text is not valid YAML, or is nested too deeply.
    """
    builder = Builder(file)
    aliases: set[str] = set()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                name = str(event.anchor)
                if name not in aliases:  # one of each: a file may have very many
                    remedy = f"share schemas by $ref, wherever *{name} stands"
                    builder.report(f"is an alias (*{name})", remedy)
                    aliases.add(name)
                builder.scalar("true", plain=True)  # a valid schema, so that this is all
            else:
                _report(event, builder)
    except yaml.YAMLError as error:
        raise builder.error(f"is not valid YAML ({_reason(error)})", "fix its syntax") from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF"
        message = "is not valid YAML (an escaped character does not exist)"
        raise builder.error(message, "fix its syntax") from None
    return builder.parsed


def _report(event: yaml.Event, builder: Builder) -> None:
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        builder.report(f"has an anchor (&{event.anchor})", "share schemas by $ref")
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
        builder.report(f"has a tag ({quoted(event.tag)})", "remove the tag")
    if isinstance(event, yaml.ScalarEvent):
        builder.scalar(event.value, plain=event.implicit[0])
    elif isinstance(event, yaml.CollectionStartEvent):
        builder.open({} if isinstance(event, yaml.MappingStartEvent) else [])
    elif isinstance(event, yaml.CollectionEndEvent):
        builder.close()


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    text = f"{problem or 'unknown syntax'}{where}"
    return "".join(char if char.isprintable() else "?" for char in text)
