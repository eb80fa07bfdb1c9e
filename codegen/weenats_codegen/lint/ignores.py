"""Findings that a contract accepts, each with a reason."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final, NamedTuple
from urllib.parse import unquote

from weenats_codegen.lint.rule import Finding, Rule
from weenats_codegen.parser.diagnostics import Diagnostic, Location, did_you_mean, quoted
from weenats_codegen.parser.walk import Node

UNUSED_IGNORE: Final = Rule(
    id="unused-ignore",
    level="warning",
    summary="an ignore matches no finding",
    why="""\
What it accepted is gone, or it has a mistake: an unknown rule, or a place that does not exist. It
would hide the next finding there, which nobody has looked at.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
lint:
  ignore:
    - {rule: float-for-money, reason: Cents do not matter here.}""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}""",
    check=lambda _: (),
)


class Ignore(NamedTuple):
    """An entry of `lint.ignore`.

    Attributes:
        node: The entry.
        rule: The id of a rule.
        file: The file of the findings; "" for all files.
        pointer: The place of the findings, with all that is inside it.
    """

    node: Node
    rule: str
    file: str
    pointer: str

    def matches(self, finding: Finding) -> bool:
        """Return whether it accepts a finding."""
        place = finding.diagnostic.location
        return (
            self.rule == finding.rule.id
            and self.file in {"", normpath(place.file)}
            and f"{place.pointer}/".startswith(f"{self.pointer}/")
        )


def ignores(contract: Node) -> list[Ignore]:
    """Return the ignores of a contract.

    Args:
        contract: The content of a valid service.yaml.
    """
    return [_ignore(contract.location.file, each) for each in contract.get("lint", "ignore").items]


def accepted(
    findings: Sequence[Finding], entries: Iterable[Ignore], rules: Iterable[Rule]
) -> tuple[list[Finding], int]:
    """Return the findings that remain, those of unused ignores included, and how many do not.

    Args:
        findings: All findings that may be ignored.
        entries: The ignores of the contract.
        rules: All rules.
    """
    remaining = list(findings)
    unused: list[Finding] = []
    known = {rule.id: rule for rule in rules}
    for entry in entries:
        kept = [finding for finding in remaining if not entry.matches(finding)]
        if len(kept) == len(remaining):
            unused += [Finding(each, UNUSED_IGNORE) for each in _unused(entry, known)]
        remaining = kept
    return remaining + unused, len(findings) - len(remaining)


def _ignore(root: str, node: Node) -> Ignore:
    rule, at = (str(node.mapping.get(key, "")) for key in ("rule", "at"))
    path, _, pointer = at.partition("#")
    folder = PurePosixPath(root).parent
    file = normpath(folder / path if path else root) if at else ""
    return Ignore(node, rule, file, unquote(pointer).removesuffix("/"))


def _unused(entry: Ignore, known: dict[str, Rule]) -> Iterator[Diagnostic]:
    if entry.rule not in known:
        remedy = did_you_mean(entry.rule, known, "`weenats lint --rules` lists them")
        message = f"ignores the unknown rule {quoted(entry.rule)}"
    elif known[entry.rule].level == "error":
        message, remedy = f"ignores {entry.rule}, which is an error", "correct the error instead"
    else:
        where = Location(entry.file, entry.pointer) if entry.file else "this contract"
        message, remedy = f"ignores {entry.rule}, which is not found in {where}", "remove it"
    yield entry.node.diagnostic(message, remedy)
