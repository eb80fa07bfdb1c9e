"""What OpenAPI's `discriminator` with a `mapping` demands of the branches of a union."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.members import all_of
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.dialects import Ref, Tree

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.resources import Place, Resources
    from weenats_codegen.parser.walk import Node

_UNIONS: Final = ("oneOf", "anyOf")


def with_discriminator(
    tree: dict[str, Tree], resources: Resources, schema: Place
) -> dict[str, Tree]:
    """Return a union whose branches demand that the discriminator has one of their names.

    Branches that restrict that member themselves remain as they are. So do those without a name:
    a branch has the names that `mapping` gives it, otherwise that of the schema it refers to.

    Args:
        tree: The translated union.
        resources: The files that references lead to.
        schema: The union as it is written.
    """
    discriminator = schema.node.get("discriminator")
    member = str(discriminator.mapping["propertyName"])
    result: dict[str, Tree] = {**tree, "discriminator": {"propertyName": member}}
    mapping = discriminator.get("mapping")
    key = next((key for key in _UNIONS if isinstance(tree.get(key), list)), None)
    if key is None or not mapping.mapping or not schema.context.dialect.has_openapi_keywords:
        return result
    branches = [(branch, _ref(branch)) for branch in schema.node.get(key).items]
    by_name = {_last_name(ref.uri): ref for _, ref in branches if ref is not None}
    refs: dict[str, Ref] = {}
    names: dict[Location | None, list[str]] = {}
    for name, value in mapping.mapping.items():
        uri = str(value)
        refs[name] = by_name.get(uri, Ref(mapping.location.child(name), uri, "mapping"))
        names.setdefault(_target(resources, schema, refs[name]), []).append(name)
    demanding: list[Tree] = []
    for branch, ref in branches:
        target = None if ref is None else _target(resources, schema, ref)
        if ref is None or target is None or _restricts(resources, resources.place(branch), member):
            demanding.append(branch)
            continue
        allowed = names.get(target, [_last_name(ref.uri)])
        demand: Tree = {"required": [member], "properties": {member: {"enum": allowed}}}
        demanding.append({"allOf": [branch, demand]})
    return {**result, key: demanding, "discriminator": {"propertyName": member, "mapping": refs}}


def _ref(branch: Node) -> Ref | None:
    ref = branch.ref
    return None if ref is None else Ref(branch.location.child("$ref"), ref)


def _target(resources: Resources, schema: Place, ref: Ref) -> Location | None:
    try:
        return resources.resolve(schema.context, ref).node.location
    except ContractError:  # the bundler reports it
        return None


def _last_name(uri: str) -> str:
    """Return the name of the schema that a reference leads to."""
    path, _, fragment = uri.partition("#")
    return (fragment or path).rpartition("/")[2].partition(".")[0]


def _restricts(resources: Resources, branch: Place, member: str) -> bool:
    """Return whether a branch states the values of a member."""
    return any(
        not part.node.mapping.keys().isdisjoint({"const", "enum"})
        for owner in all_of(resources, branch)
        if isinstance(owner.node.get("properties", member).value, dict)
        for part in all_of(resources, resources.place(owner.node.get("properties", member)))
    )
