"""What `weenats run` serves: MODULE:NAME, found as a person means it."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

import typer
from typing_extensions import TypeIs

from weenats.service import NatsServiceBuilder, ServiceHandlers
from weenats_codegen.cli.errors import VerbError

MadeT = TypeVar("MadeT")
FOLDERS = (Path(), Path("generated"))
_BUILDER: Final = (NatsServiceBuilder, NatsServiceBuilder.__name__)


def find(target: str) -> object:
    """Import MODULE and return its NAME, from the working directory and `generated` too.

    Raises:
        VerbError: there is no such module or name.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name) or module_name.startswith("."):
        raise typer.BadParameter(
            f"{target!r} is not MODULE:NAME, such as receipts.handlers:Receipts"
        )
    for folder in reversed([str(folder.resolve()) for folder in FOLDERS]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not: its traceback says where
        looked = " and ".join(f"{folder.as_posix()}/" for folder in FOLDERS)
        raise VerbError(
            f"no module {error.name}; looked in {looked} and what is installed"
        ) from None
    try:
        return getattr(module, name)
    except AttributeError:
        raise VerbError(f"{module_name} has no {name}; {_remedy(module, name)}") from None


def builder_of(target: str) -> NatsServiceBuilder:
    """Return what builds the service: of a handlers class, of handlers, or the builder itself.

    A function that says it returns a builder is called for it.

    Raises:
        VerbError: it is none of these, or its class leaves operations open.
    """
    found = find(target)
    if _makes_a_builder(found):
        found = _made(found, target)
    kind = type(found).__name__
    if isinstance(found, NatsServiceBuilder):
        return found
    if isinstance(found, type) and issubclass(found, ServiceHandlers):
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise VerbError(f"{target} does not handle: {missing}")
        return NatsServiceBuilder(_made(found, target))
    if isinstance(found, ServiceHandlers):
        return NatsServiceBuilder(found)
    raise VerbError(f"{target} is neither handlers nor a NatsServiceBuilder but {kind}")


def _remedy(module: ModuleType, name: str) -> str:
    """Say what of a module could be meant: what is spelt like it, else all that can be served."""
    servable = [each for each, value in vars(module).items() if _is_servable(value)]
    close = difflib.get_close_matches(name, servable, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"it has {', '.join(sorted(servable))}" if servable else "it has nothing to serve"


def _is_servable(value: object) -> bool:
    """Say whether `builder_of` takes it."""
    if isinstance(value, type):
        return issubclass(value, ServiceHandlers) and not inspect.isabstract(value)
    return isinstance(value, ServiceHandlers | NatsServiceBuilder) or _makes_a_builder(value)


def _makes_a_builder(value: object) -> TypeIs[Callable[[], NatsServiceBuilder]]:
    return inspect.isfunction(value) and value.__annotations__.get("return") in _BUILDER


def _made(kind: Callable[[], MadeT], target: str) -> MadeT:
    try:
        inspect.signature(kind).bind()
    except TypeError:
        raise VerbError(
            f"{target} cannot be made without arguments: name an instance or a NatsServiceBuilder"
        ) from None
    try:
        return kind()
    except TypeError as error:
        if "abstract class" in str(error):
            raise VerbError(f"{target}: {error}") from None
        raise
