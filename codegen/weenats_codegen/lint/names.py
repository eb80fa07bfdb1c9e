"""Names that are apart in the contract and one in Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from weenats_codegen import naming
from weenats_codegen.ir.bundler import Bundler, Site
from weenats_codegen.lint.references import is_circular
from weenats_codegen.parser.diagnostics import ContractError, Problem, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.source import Document, Source

Members = dict[str, "JsonValue"]

_Clashes = dict[str, set[str]]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_MODELS: Final = (
    ("errors", "details", "-details"),
    ("commands", "payload", ""),
    ("commands", "result", "-result"),
    ("queries", "parameters", "-parameters"),
    ("queries", "result", "-result"),
    ("events", "data", ""),
)


def check_names(source: Source, *, with_models: bool) -> Iterator[Problem]:
    """Yield names that become one: methods of the client, and whatever the package exports.

    Args:
        source: The contract.
        with_models: Whether its schemas are sound enough to tell the classes of models.
    """
    contract = source.root.data
    if not isinstance(contract, dict):
        return
    clashes: _Clashes = {}
    exported = _Namespace(source, clashes)
    yield from _methods(contract, _Namespace(source, clashes))
    yield from _exported(contract, exported)
    if with_models:
        bundler = _bundle(source, contract)
        yield from (problem for problem in bundler.problems if not _is_known(problem, clashes))
        for name, site in bundler.sites.items():
            yield from exported.take_model(name, site)


def _methods(contract: Members, namespace: _Namespace) -> Iterator[Problem]:
    for section in ("commands", "queries", "events"):
        for name in _section(contract, section):
            pointer = joined("", section, name)
            method = naming.method_name(name)
            if section == "events":
                yield from namespace.take(f"publish_{method.rstrip('_')}", pointer)
                yield from namespace.take(f"subscribe_{method.rstrip('_')}", pointer)
            else:
                yield from namespace.take(method, pointer)


def _exported(contract: Members, namespace: _Namespace) -> Iterator[Problem]:
    for name in _section(contract, "errors"):
        yield from namespace.take(naming.error_class_name(name), joined("/errors", name))
    for section in ("commands", "queries", "events"):
        for name in _section(contract, section):
            yield from namespace.take(naming.constant_name(name), joined("", section, name))
    service = contract.get("service")
    if isinstance(service, str):
        yield from namespace.take(naming.client_class_name(service), "/service")
        yield from namespace.take(naming.handlers_class_name(service), "/service")


class _Namespace:
    """Python names that must be apart, and the pointer of what has taken each."""

    def __init__(self, source: Source, clashes: _Clashes) -> None:
        self._root = source.root
        self._owners: dict[str, str] = {}
        self._clashes = clashes

    def take(self, name: str, pointer: str) -> Iterator[Problem]:
        """Take a name; two things that share several are reported once."""
        other = self._owners.setdefault(name, pointer)
        others = self._clashes.setdefault(pointer, set())
        if other != pointer and other not in others:
            others.add(other)
            message = f"becomes {name} in Python, and so does {other}"
            yield self._root.problem(pointer, message, "rename one of the two")

    def take_model(self, name: str, site: Site) -> Iterator[Problem]:
        """Take the class of a schema, which may stand in another file."""
        if name in self._owners:
            message = f"becomes {name} in Python, and so does the schema {site}"
            yield self._root.problem(self._owners[name], message, "rename one of the two")


def _bundle(source: Source, contract: Members) -> Bundler:
    """Give every schema its class, as the generator will."""
    bundler = Bundler(_Patient(source))
    aggregate = contract.get("aggregate")
    if isinstance(aggregate, dict):
        kind = aggregate.get("type")
        if isinstance(kind, str) and "state" in aggregate:
            state = aggregate["state"]
            bundler.add(Site(source.root, "/aggregate/state"), state, naming.class_name(kind))
    for section, member, suffix in _MODELS:
        for name, holder in _section(contract, section).items():
            if isinstance(holder, dict) and member in holder:
                pointer = joined("", section, name, member)
                class_name = naming.class_name(f"{name}{suffix}")
                bundler.add(Site(source.root, pointer), holder[member], class_name)
    return bundler


class _Patient:
    """Follows `$ref`s; one that leads nowhere, as is said elsewhere, leads to an empty schema."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._missing = 0

    def resolve(self, document: Document, ref: str, /) -> tuple[Document, str, JsonValue]:
        try:
            if not is_circular(self._source, document, ref):
                return self._source.resolve(document, ref)
        except ContractError:
            pass
        self._missing += 1
        return document, f"/$defs/missing-{self._missing}", {}


def _is_known(problem: Problem, clashes: _Clashes) -> bool:
    """Return whether a schema's class is taken because its operation's names are."""
    return any(others and problem.pointer.startswith(f"{at}/") for at, others in clashes.items())


def _section(contract: Members, name: str) -> Members:
    """Return named things; names that the meta-schema refuses are none."""
    section = contract.get(name)
    named = section if isinstance(section, dict) else {}
    return {key: value for key, value in named.items() if _NAME.fullmatch(key)}
