"""What `run`, `explain` and `rebuild` are given: MODULE:NAME of handlers or the like."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer
from typing_extensions import TypeIs

from weenats.service import NatsService, NatsServiceBuilder, ServiceHandlers
from weenats_codegen.cli.errors import CliError, said_by
from weenats_codegen.cli.locations import user_location
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from weenats.projections import Projection

T = TypeVar("T")
_FOLDERS: Final = (Path(), Path("generated"))
_SUFFIX: Final = ".py"


def builder_of(
    target: str,
    on_handlers: Callable[[str], None] = lambda _: None,
    on_import: Callable[[], None] = lambda: None,
) -> NatsServiceBuilder:
    """Return the builder of a service.

    Args:
        target: MODULE:NAME of a class of handlers, of handlers, of a builder, or of a function
            that is annotated to return a builder.
        on_handlers: Called when these are handlers, whose builder has nothing but defaults, with
            the target of a builder beside them, "" if there is none.
        on_import: Called when the module has been imported, before a function or class is called.

    Raises:
        CliError: The target does not exist, is none of these, or has operations without handlers.
    """
    found = _import(target, _to_serve)
    on_import()
    kind = _kind(found)
    if _returns_builder(found):
        found = _called(found, target)
        kind = f"one that returned {_kind(found)}"
    if isinstance(found, NatsServiceBuilder):
        return found
    if isinstance(found, type) and issubclass(found, ServiceHandlers):
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise CliError(f"{target} has no handlers for: {missing}")
        found = _called(found, target)
    if isinstance(found, ServiceHandlers):
        app = f"{target.partition(':')[0].rpartition('.')[0]}.app"
        on_handlers(f"{app}:builder" if _exists(app) else "")
        return NatsServiceBuilder(found)
    raise CliError(
        f"{target} must be handlers, a NatsServiceBuilder, or a function annotated to return one,"
        f" not {kind}"
    )


def projection_of(target: str) -> "Projection[Any]":
    """Return a projection.

    Args:
        target: MODULE:NAME of a projection, or of a function that returns one.

    Raises:
        CliError: The target does not exist, or is not a projection.
    """
    found = _import(target, _projections)
    if inspect.isfunction(found) and not inspect.iscoroutinefunction(found):
        found = _called(found, target, "name a function that takes none")
    if _is_projection(found):
        return found
    raise CliError(
        f"{target} must be a Projection, or a function that returns one, not {_kind(found)}"
    )


def _is_projection(value: object) -> "TypeIs[Projection[Any]]":
    from weenats.projections import Projection

    return isinstance(value, Projection)


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"class {value.__name__}"
    if inspect.iscoroutinefunction(value):
        return "an async function"
    if inspect.isfunction(value):
        return "a function without this annotation"
    return "None" if value is None else type(value).__name__


def build(builder: NatsServiceBuilder) -> NatsService:
    """Return the service of a builder.

    Raises:
        CliError: The settings of the builder contradict each other, or the contract.
    """
    try:
        return builder.build()
    except (ValueError, TypeError) as error:
        raise CliError(f"the service cannot start: {error}") from error


def of_process(builder: NatsServiceBuilder, number: int) -> NatsServiceBuilder:
    """Return the builder of one of several processes.

    Raises:
        CliError: There are not enough ports for its health probes.
    """
    try:
        return builder.with_process(number)
    except ValueError as error:
        raise CliError(f"process {number} cannot start: {error}") from error


def _import(target: str, suggestion: Callable[[ModuleType, str], str]) -> object:
    """Import MODULE, also from the working directory and from `generated`, and return its NAME.

    Args:
        target: MODULE:NAME.
        suggestion: Returns what the module has instead of a name that it does not have.
    """
    module_name, _, name = target.partition(":")
    if module_name.endswith(_SUFFIX):
        _check_no_file(module_name, name)
    if not (module_name and name) or module_name.startswith("."):
        raise typer.BadParameter(
            f"{target!r} is not MODULE:NAME, such as receipts.handlers:Receipts"
        )
    for folder in reversed([str(folder.resolve()) for folder in _FOLDERS]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise user_error(f"importing {module_name}", error) from error
        searched = " and ".join(f"{folder.as_posix()}/" for folder in _FOLDERS)
        message = f"no module {error.name} in {searched} or among the installed packages"
        known = _modules_beside(error.name)
        hint = did_you_mean(error.name, known, None if known else "")
        raise CliError(f"{message}{hint and f'; {hint}'}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit: nothing would be served, with success
        raise user_error(f"importing {module_name}", error) from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise CliError(f"{module_name} has no {name}; {suggestion(module, name)}") from None


def _check_no_file(path: str, name: str) -> None:
    """Refuse the path of a file in the place of a module, with the module."""
    folders = [folder.resolve() for folder in _FOLDERS]
    file = next((found for each in folders if (found := (each / path).resolve()).is_file()), None)
    if file is None:
        return
    remedy = "modules are found in the working directory and in generated/"
    for folder in folders:  # the last one is inside the first one
        if file.is_relative_to(folder):
            module = ".".join(file.relative_to(folder).with_suffix("").parts)
            remedy = f"use its module, {module}:{name or 'NAME'}"
    raise typer.BadParameter(f"{path} is a file: {remedy}")


def _modules_beside(name: str) -> list[str]:
    """Return the modules of the package of a module; without a package, those of the folders."""
    package = name.rpartition(".")[0]
    folders = getattr(sys.modules.get(package), "__path__", []) if package else map(str, _FOLDERS)
    prefix = f"{package}." if package else ""
    names = [f"{prefix}{each.name}" for each in pkgutil.iter_modules(folders)]
    return [each for each in names if each != name]


def _projections(module: ModuleType, name: str) -> str:
    """Return a name that is similar, otherwise the names of all projections."""
    names = [each for each, value in vars(module).items() if _is_projection(value)]
    return did_you_mean(name, names, None if names else "it has no projections")


def _to_serve(module: ModuleType, name: str) -> str:
    """Return a name that is similar, otherwise all names that can be served."""
    names = [each for each, value in vars(module).items() if _is_target(value)]
    if names:
        return did_you_mean(name, names)
    handlers = f"{module.__name__.partition('.')[0]}.handlers"
    if _exists(handlers):
        return f"it has nothing to serve; the handlers are in {handlers}"
    return "it has nothing to serve"


def _exists(module: str) -> bool:
    """Return whether there is a module in a package that is imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # not a package, or one that replaced itself
        return False


def _is_target(value: object) -> bool:
    """Return whether `builder_of` accepts a value."""
    if isinstance(value, type):
        return issubclass(value, ServiceHandlers) and not inspect.isabstract(value)
    return isinstance(value, ServiceHandlers | NatsServiceBuilder) or _returns_builder(value)


def _returns_builder(value: object) -> TypeIs[Callable[[], NatsServiceBuilder]]:
    if not inspect.isfunction(value) or inspect.iscoroutinefunction(value):
        return False
    returned: object = value.__annotations__.get("return")
    if isinstance(returned, str):  # as all are with `from __future__ import annotations`
        return returned.rpartition(".")[2] == NatsServiceBuilder.__name__
    return returned is NatsServiceBuilder


def _called(
    function: Callable[[], T],
    target: str,
    instead: str = "use an instance or a NatsServiceBuilder instead",
) -> T:
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise CliError(f"{target} requires arguments: {instead}") from None
    try:
        return function()
    except TypeError as error:
        if "abstract class" in str(error):
            raise CliError(f"{target}: {error}") from None
        raise user_error(target, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise user_error(target, error) from error


def user_error(what: str, error: BaseException) -> CliError:
    """Return the error of the user's own code: what failed, why, and in which line."""
    said = said_by(error)
    text = f"{what} raised {type(error).__name__}{said and f': {said}'}"
    where = "" if isinstance(error, SyntaxError) else user_location(error)  # its text has the line
    return CliError(f"{text} ({where})" if where else text)
