"""The reference: a page for each public module, and what has no docstring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RUNTIME: Final = Path(__file__).parents[1]


class Reference:
    """The public modules, and where each of their names is documented."""

    def __init__(self, modules: Sequence[str], folder: Path = _RUNTIME) -> None:
        """Read the code.

        Args:
            modules: The public modules; a name that several export is documented with the first,
                but for those of the package itself, which has what no module exports.
            folder: The folder of the package.
        """
        loader = griffe.GriffeLoader(
            search_paths=[folder], docstring_parser=griffe.Parser.google, allow_inspection=False
        )
        self._package: Final = modules[0].partition(".")[0]
        loader.load(self._package)
        loader.resolve_aliases(implicit=True, external=False)
        self._modules: Final = loader.modules_collection
        self._homes: Final[dict[str, str]] = {}
        for module in sorted(modules, key=lambda name: name == self._package):
            for name in self._exports(module):
                self._homes.setdefault(self._target(module, name).path, module)

    def page(self, module: str) -> str:
        """Return the page of a module, as Markdown."""
        parts = [f"# {module}\n", self._about(module)]
        elsewhere: list[str] = []
        for name in self._exports(module):
            home = self._homes[self._target(module, name).path]
            if home == module:
                parts.append(f"::: {self._place(module, name)}\n")
            else:
                elsewhere.append(f"[`{name}`]({home}.md#{self._place(home, name)})")
        if elsewhere:
            parts.insert(2, f"Also here: {', '.join(elsewhere)}.\n")
        return "\n".join(parts)

    def undocumented(self) -> list[str]:
        """Return the public names without a docstring, with their members."""
        found: list[str] = []
        for module in dict.fromkeys(self._homes.values()):
            if not self._modules[module].has_docstring:
                found.append(module)
            for name in self._exports(module):
                found += _undocumented(self._target(module, name))
        return sorted(set(found))

    def _about(self, module: str) -> str:
        docstring = self._modules[module].docstring
        return f"{docstring.value}\n" if docstring else ""

    def _exports(self, module: str) -> list[str]:
        return [str(name) for name in self._modules[module].exports or ()]

    def _place(self, module: str, name: str) -> str:
        """Return the path of a name; a function may have the name of the module that defines it."""
        path = f"{module}.{name}"
        return f"{path}.{name}" if self._modules[path].is_module else path

    def _target(self, module: str, name: str) -> griffe.Object:
        found = self._modules[self._place(module, name)]
        return found.final_target if isinstance(found, griffe.Alias) else found


def _undocumented(each: griffe.Object) -> Iterator[str]:
    if not each.has_docstring:
        yield each.path
    if isinstance(each, griffe.Class):
        described = {each.path: _described(each)}
        for name, member in each.members.items():
            if _is_public(name, member) and name not in described[each.path]:
                yield from _undocumented_member(each, name)


def _undocumented_member(owner: griffe.Class, name: str) -> Iterator[str]:
    classes = [owner, *owner.mro()]
    versions = [each.members[name] for each in classes if name in each.members]
    if not any(each.has_docstring or _overrides(each) for each in versions):
        yield f"{owner.path}.{name}"


def _described(owner: griffe.Class) -> set[str]:
    """Return the members that the docstrings of a class and its bases describe."""
    return {
        str(attribute.name)
        for each in (owner, *owner.mro())
        if each.docstring is not None
        for section in each.docstring.parsed
        if isinstance(
            section, griffe.DocstringSectionAttributes | griffe.DocstringSectionParameters
        )
        for attribute in section.value
    }


def _is_public(name: str, member: griffe.Object | griffe.Alias) -> bool:
    is_alias = isinstance(member, griffe.Alias)
    return not (is_alias or name.startswith("_") or name == "model_config")  # pydantic's


def _overrides(member: griffe.Object | griffe.Alias) -> bool:
    """Return whether a member does what a class of another package says."""
    function = member if isinstance(member, griffe.Function) else None
    return any("override" in str(each.value) for each in function.decorators) if function else False
