"""Arrays of requests that may have any number of items."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part in subject.parts:
        if part.role == "request" and part.is_alternative:
            keywords = subject.conjoiner.conjoin(part.schema, lambda _: None).keywords
            types = keywords.get("type")
            is_array = types == "array" or (isinstance(types, list) and "array" in types)
            bounds = {"maxItems", "enum"}
            is_tuple = "prefixItems" in keywords and keywords.get("items") is False
            if is_array and not is_tuple and keywords.keys().isdisjoint(bounds):
                yield Diagnostic(
                    part.location, "is an array of any length in a request", "add maxItems"
                )


UNBOUNDED_ARRAY: Final = Rule(
    id="unbounded-array",
    level="warning",
    summary="an array of a request may have any number of items",
    why="""\
One request may then take as long, and as much memory, as a million others. A limit that is added
later breaks callers that send more; callers of a service with a limit send several requests.""",
    wrong="""\
commands:
  import-names:
    description: Add several names at once.
    payload:
      type: array
      items: {type: string, maxLength: 200}""",
    right="""\
commands:
  import-names:
    description: Add several names at once.
    payload:
      type: array
      maxItems: 100
      items: {type: string, maxLength: 200}""",
    check=_check,
)
