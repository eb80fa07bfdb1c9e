"""Comparison of generated code with an oracle, and the reduction of what disagrees."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from testkit.json_schemas.oracle import Oracle, is_schema
from testkit.json_schemas.service import Codec, generated_codecs
from weenats.codec.operations import ContractBreachError
from weenats.errors import InvalidArgumentError
from weenats_codegen.parser.diagnostics import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Json = Any
_MAX_ROUNDS: Final = 60
_MAX_CANDIDATES: Final = 60


@dataclass(frozen=True, slots=True)
class Case:
    """A schema with documents.

    Attributes:
        schema: the schema.
        documents: the documents.
    """

    schema: Json
    documents: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A schema and a document of which generated code and the oracle think differently.

    Attributes:
        schema: the schema.
        document: the document, None if the schema itself is refused.
        what: what generated code did.
    """

    schema: Json
    document: Json
    what: str

    def __str__(self) -> str:
        """Return it as a case for `AGREED`."""
        schema, document = json.dumps(self.schema), json.dumps(self.document)
        return f"{self.what}\n    schema: {schema}\n    document: {document}"


@dataclass(slots=True)
class Tally:
    """What was compared.

    Attributes:
        schemas: the number of schemas.
        judged: how many of them a JSON Schema judges at run time.
        documents: the number of documents.
        valid: how many of them are valid.
        not_held: how many of these were refused as Python has no value for them, or cannot be sent
            again as a float has fewer digits.
        disagreements: what differs.
    """

    schemas: int = 0
    judged: int = 0
    documents: int = 0
    valid: int = 0
    not_held: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another tally."""
        self.schemas += other.schemas
        self.judged += other.judged
        self.documents += other.documents
        self.valid += other.valid
        self.not_held += other.not_held
        self.disagreements += other.disagreements

    def __str__(self) -> str:
        """Return the numbers as a sentence."""
        return (
            f"{self.schemas:,} schemas, {self.judged:,} of them judged by JSON Schema at run time; "
            f"{self.documents:,} documents, {self.valid:,} of them valid, of which "
            f"{self.not_held:,} have no value in Python; {len(self.disagreements)} disagreements"
        )


def compare(cases: Sequence[Case], folder: Path) -> Tally:
    """Generate one contract for all schemas, and compare its codecs with the oracle.

    Args:
        cases: the schemas, which must be valid, and their documents.
        folder: an empty folder.
    """
    tally = Tally(schemas=len(cases))
    for case, codec in _codecs(cases, folder, tally):
        tally.judged += codec.is_judged
        oracle = Oracle(case.schema)
        for number, document in enumerate(case.documents):
            _compare_one(case, document, codec, oracle, tally, in_order=number % 4 != 3)
    return tally


def _codecs(cases: Sequence[Case], folder: Path, tally: Tally) -> Iterator[tuple[Case, Codec]]:
    """Yield the codec of each case; schemas that are refused are disagreements."""
    try:
        codecs = generated_codecs([case.schema for case in cases], folder)
    except Exception as error:  # noqa: BLE001 - whatever generated code or the generator raises
        if len(cases) == 1:
            text = str(error) if isinstance(error, ContractError) else repr(error)
            tally.disagreements.append(Disagreement(cases[0].schema, None, f"generation: {text}"))
            return
        half = len(cases) // 2
        yield from _codecs(cases[:half], folder / "1", tally)
        yield from _codecs(cases[half:], folder / "2", tally)
    else:
        yield from zip(cases, codecs, strict=True)


def _compare_one(
    case: Case, document: Json, codec: Codec, oracle: Oracle, tally: Tally, *, in_order: bool
) -> None:
    text = json.dumps(document, allow_nan=False).encode()
    is_valid = oracle.allows(document)
    tally.documents += 1
    tally.valid += is_valid

    def disagree(what: str) -> None:
        tally.disagreements.append(Disagreement(case.schema, document, what))

    request, reply = codec.request(text, in_order=in_order), codec.reply(text)
    if request.is_valid is None or reply.is_valid is None:
        disagree(f"crashed: {request.why} {reply.why}")
    elif request.is_valid != reply.is_valid:
        disagree(f"differ: service {request}, client {reply}")
    elif request.is_valid and not is_valid:
        disagree("decoded what is invalid")
    elif is_valid and not request.is_valid:
        if oracle.may_be_refused(document):
            tally.not_held += 1
        else:
            disagree(f"refused what is valid: {request.why}")
    elif is_valid:
        if problem := _round_trip(document, request.value, codec, oracle):
            if oracle.allows_floats(document):
                disagree(problem)
            else:
                tally.not_held += 1
    elif codec.is_judged:
        unjudged = codec.unjudged(text)
        sent = codec.sent(unjudged.value) if unjudged.is_valid else []
        if not all(map(oracle.allows, sent)):
            disagree(f"encoded what is invalid: {sent}")


def _round_trip(document: Json, value: object, codec: Codec, oracle: Oracle) -> str:
    """Return what is wrong with the encoding of a decoded value, "" if nothing is."""
    try:
        request, reply = codec.encoded_request(value), codec.encoded_reply(value)
    except (InvalidArgumentError, ContractBreachError) as error:
        return f"cannot encode what was decoded: {error}"
    except Exception as error:  # noqa: BLE001 - a bug, which the comparison reports
        return f"crashed: {error!r}"
    if request != reply:
        return f"client and service encode differently: {request} {reply}"
    if not oracle.allows(request):
        return f"encoded as what is invalid: {json.dumps(request)}"
    if not oracle.is_kept(document, request):
        return f"encoded as something else: {json.dumps(request)}"
    return ""


def reduced(found: Disagreement, folder: Path) -> Disagreement:
    """Return a disagreement of the same kind with a smaller schema and document.

    All ways to leave something out are tried at once, in one contract.

    Args:
        found: the disagreement.
        folder: an empty folder.
    """
    kind = found.what.split(":")[0]
    for number in range(_MAX_ROUNDS):
        cases = [case for case in _smaller(found) if is_schema(case.schema)]
        tally = compare(cases, folder / str(number)) if cases else Tally()
        same = [each for each in tally.disagreements if each.what.split(":")[0] == kind]
        if not same:
            return found
        found = min(same, key=lambda each: len(json.dumps([each.schema, each.document])))
    return found


def _smaller(found: Disagreement) -> Iterator[Case]:
    if found.document is not None:
        yield Case(found.schema, tuple(_parts_left_out(found.document)))
    seen: set[str] = set()
    for schema in _parts_left_out(found.schema):
        text = json.dumps(schema)
        if text not in seen and isinstance(schema, dict | bool) and len(seen) < _MAX_CANDIDATES:
            seen.add(text)
            yield Case(schema, (found.document,))


def _parts_left_out(value: Json) -> Iterator[Json]:
    """Yield a value without each of its parts, or with one part in its place."""
    if isinstance(value, dict):
        for key, part in value.items():
            rest = {name: other for name, other in value.items() if name != key}
            yield rest
            yield part
            yield from ({**value, key: smaller} for smaller in _parts_left_out(part))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield value[:index] + value[index + 1 :]
            yield part
            for smaller in _parts_left_out(part):
                yield [*value[:index], smaller, *value[index + 1 :]]
    elif value not in (0, None, "", True):
        yield from (True, 0, "") if isinstance(value, str | int | float) else ()
