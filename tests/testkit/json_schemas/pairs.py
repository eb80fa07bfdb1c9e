"""Pairs of random schemas, and what the comparison of contracts says about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import jsonschema_rs

from testkit.json_schemas.documents import documents
from testkit.json_schemas.edits import edited
from testkit.json_schemas.oracle import is_schema
from testkit.json_schemas.schemas import random_schema
from weenats_codegen.compatibility.containment import Containments
from weenats_codegen.compatibility.formula.oracle import validator
from weenats_codegen.ir.bundle import judged
from weenats_codegen.ir.bundler import bundle_members
from weenats_codegen.ir.contract_schemas import Member
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.resources import Resources

Json = Any
_SHARE_OF_EQUAL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions of a schema.

    Attributes:
        schemas: the versions as they were drawn.
        bundles: the definitions that each of them is bundled to, with one named Root.
    """

    schemas: tuple[Json, Json]
    bundles: tuple[dict[str, Json], dict[str, Json]]


@dataclass(slots=True)
class PairTally:
    """What was compared.

    Attributes:
        pairs: the number of pairs; each is compared in both directions.
        compatible: how often one version allows all that the other allows.
        breaking: how often it does not.
        unknown: how often that is not known, with the reasons.
        documents: how many documents were judged.
        wrong: verdicts that a document disproves, and counterexamples that are none.
    """

    pairs: int = 0
    compatible: int = 0
    breaking: int = 0
    unknown: list[str] = field(default_factory=list)
    documents: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the numbers as a sentence."""
        verdicts = self.compatible + self.breaking + len(self.unknown)
        share = 100 * len(self.unknown) / max(verdicts, 1)
        return (
            f"{self.pairs:,} pairs in both directions: {self.compatible:,} compatible, "
            f"{self.breaking:,} breaking, {len(self.unknown)} not known ({share:.2f} %); "
            f"{self.documents:,} documents; {len(self.wrong)} wrong"
        )


def drawn_pairs(number: int, count: int, folder: Path) -> Iterator[Pair]:
    """Yield pairs of a schema and a small edit of it, the same ones for the same arguments.

    Args:
        number: the seed.
        count: how many pairs.
        folder: a folder for files.
    """
    random = Random(number)
    while count:
        old = random_schema(random)
        new = edited(old, random)
        if old == new or not (is_schema(old) and is_schema(new)):
            continue
        first, second = bundled(old, folder), bundled(new, folder)
        if not _is_equal(first, second) or random.random() < _SHARE_OF_EQUAL:
            count -= 1
            yield Pair((old, new), (first, second))


def _is_equal(first: dict[str, Json], second: dict[str, Json]) -> bool:
    """Return whether jsonschema-rs reduces two versions to the same schema."""
    canonical = [
        jsonschema_rs.canonicalize({"$ref": "#/$defs/Root", "$defs": each}, validate_formats=True)
        for each in (first, second)
    ]
    return canonical[0] == canonical[1]


def bundled(schema: Json, folder: Path) -> dict[str, Json]:
    """Return the definitions of the flat bundle of a schema, which is named Root there.

    Args:
        schema: the schema.
        folder: a folder for files.
    """
    (folder / "root.json").write_text(json.dumps(schema))
    resources = Resources(Reader(folder))
    place = resources.add_file("root.json")
    assert place is not None
    made = bundle_members(resources, [Member(place.node, "root")])
    [name] = made.names.values()
    definitions = {**made.definitions}
    return {**definitions, "Root": {"$ref": f"#/$defs/{name}"}} if name != "Root" else definitions


def compare_pair(pair: Pair, count: int, random: Random, tally: PairTally) -> None:
    """Compare the versions of a pair in both directions, and check the verdicts by documents.

    Args:
        pair: the pair.
        count: how many documents to draw.
        random: where the documents come from.
        tally: where to count.
    """
    old, new = (
        validator({name: judged(each) for name, each in bundle.items()}, "Root")
        for bundle in pair.bundles
    )
    containments = Containments(*pair.bundles)
    drawn = [
        document for schema in pair.schemas for document in documents(schema, random, count // 2)
    ]
    tally.pairs += 1
    tally.documents += len(drawn)
    for side, wide, narrow in ((1, new, old), (0, old, new)):
        found = containments.allows_all("Root", 1 if side else 0, "Root")
        where = json.dumps([side, *pair.schemas])
        if found.holds is False:
            tally.breaking += 1
            if not narrow.is_valid(found.counterexample) or wide.is_valid(found.counterexample):
                tally.wrong.append(f"untrue: {json.dumps(found.counterexample)} {where}")
            continue
        broken = next((each for each in drawn if _breaks(each, narrow, wide)), ...)
        if found.holds is None:
            tally.unknown.append(f"{found.tried[0]} {where}")
        else:
            tally.compatible += 1
            if broken is not ...:
                tally.wrong.append(f"disproved: {json.dumps(broken)} {where}")


def _breaks(document: Json, narrow: Any, wide: Any) -> bool:
    is_allowed: bool = narrow.is_valid(document)
    return is_allowed and not wide.is_valid(document)
