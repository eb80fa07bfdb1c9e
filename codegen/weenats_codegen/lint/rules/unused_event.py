"""Events that no command emits."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import entries


def _check(subject: Subject) -> Iterator[Diagnostic]:
    commands = entries(subject.root, "commands")
    emitted = {str(item.value) for command in commands for item in command.node.get("emits").items}
    if commands:
        for event in entries(subject.root, "events"):
            if event.name not in emitted:
                yield event.node.diagnostic(
                    "is an event that no command emits",
                    f"add emits: [{event.name}] to the command that causes it, or remove it",
                )


UNUSED_EVENT: Final = Rule(
    id="unused-event",
    level="warning",
    summary="no command emits an event",
    why="""\
Who reads the contract cannot see when the event comes, and may wait for one that never does. Events
that have another cause, such as a timer, are ignored with that reason. A contract without commands
is not checked.""",
    wrong="""\
commands:
  start:
    description: Start it.
    payload: {type: object}
events:
  started:
    description: It was started.
    data: {type: object}""",
    right="""\
commands:
  start:
    description: Start it.
    payload: {type: object}
    emits: [started]
events:
  started:
    description: It was started.
    data: {type: object}""",
    check=_check,
)
