"""The exported names of all public modules, and the docstrings of what they export.

Each test looks at all modules: one test for each of them would cost more than what it does.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cache

import pytest

import weenats

EXPORTS = {
    "weenats": """
        AbortedError Aggregate AggregateId AlreadyExistsError AuthConfig AuthRequirement
        CachedToken CallNext CallOptions CancelledError CircuitState CircuitStateChange Code Command
        ConnectionClosedError ConnectionLostError ConnectionOptions CustomCheck CustomMetric
        DeadlineExceededError Endpoint Entity Event
        EventHandler EventSubscription FailedPreconditionError IncompatibleContractError
        Interceptor InternalError
        InvalidArgumentError InvalidTokenError JwtAuthConfig Key MessageContext MessageTooLargeError
        Model NatsService NatsServiceBuilder NatsTransport NoAuthConfig NoRespondersError
        NotFoundError PermissionDeniedError Principal PublishOptions Query ReceivedEvent
        RequestContext ResourceExhaustedError Response Sampling ServiceClient ServiceContract
        ServiceError ServiceHandlers ServiceSyncClient SubscribeOptions SyncEventHandler
        SyncEventSubscription TelemetryManager TelemetrySettings TokenValidator Transport
        UnauthenticatedError UnavailableError UnimplementedError
        WrongEventLoopError new_message_id
    """,
    "weenats.aggregates": "Decision Emission",
    "weenats.auth": """
        AuthConfig AuthInterceptor InvalidTokenError JwksKeySource JwksState JwtAuthConfig
        JwtValidator KeySource KeysUnavailableError NoAuthConfig Principal StaticKeySource
        TokenValidator UnknownKeyError
    """,
    "weenats.client": """
        CachedToken CallOptions DEFAULT_TIMEOUT InstanceReply Page ServiceClient ServiceSyncClient
        TokenProvider TokenSource iterate_pages iterate_pages_sync
    """,
    "weenats.context": "Key MessageContext Principal RequestContext Response",
    "weenats.contract": """
        Aggregate AnyOperation AuthRequirement Command DurabilityDemand Entity Event
        EventData EventVersion Query RateLimit
        ServiceContract Stream
    """,
    "weenats.discovery": """
        InvalidReplyError OnInvalid check_health get_contract_document get_service_info
        get_service_stats list_infos list_instances list_stats
    """,
    "weenats.errors": """
        AbortedError AlreadyExistsError CancelledError Code ConnectionClosedError
        ConnectionLostError DeadlineExceededError FailedPreconditionError
        IncompatibleContractError InternalError InvalidArgumentError
        MessageTooLargeError NoRespondersError NotFoundError
        PermissionDeniedError ResourceExhaustedError ServiceError UnauthenticatedError
        UnavailableError UnimplementedError WrongEventLoopError
    """,
    "weenats.events": """
        ConsumeOptions Consumption EventConsumer EventHandler EventRoute EventSubscription
        PublishOptions ReceivedEvent SubscribeOptions SyncEventHandler SyncEventSubscription consume
        consuming publish read_events subscribe subscribe_sync
    """,
    "weenats.formats": """
        AwareDatetime Base64 Decimal IPv4Address IPv6Address IntEnum UUID date time timedelta
    """,
    "weenats.interceptors": "CallNext Interceptor Setting",
    "weenats.logging": """
        FIELDS JsonFormatter LineFormatter MessageFilter TextFormatter configure current_fields
    """,
    "weenats.model": "Model OMIT_NONE STRICT_LITERAL",
    "weenats.projections": """
        Checkpoint Generation GenerationStatus KeyValueView Projection RunningProjection View
    """,
    "weenats.schema": "JsonSchemas Judge Schema",
    "weenats.service": """
        Endpoint EventSourcedHandlers NatsService NatsServiceBuilder ServiceHandlers StoredAggregate
        StoredEndpoint run
    """,
    "weenats.settings": "EnvironmentSettings SettingsError Variable",
    "weenats.testing": """
        ClusterServer Example MemoryBroker MemoryTransport NatsCluster NatsServer NatsServerError
        check_example serving
    """,
    "weenats.transport": """
        Accepts ConnectionOptions Delivery NatsTransport OnDelivery Subscription Transport
    """,
}
"""The names that users import, by module; a change here is a change of the public API."""

MODULES = ["weenats"] + [
    module.name
    for module in pkgutil.walk_packages(weenats.__path__, "weenats.")
    if not any(part.startswith("_") for part in module.name.split("."))
]

GENERATED = "weenats.protocol.messages"  # all its classes are public; its fields have docstrings
CONSTANTS = "weenats.telemetry.semconv"  # names of attributes only
FIXTURES = "weenats.testing.plugin"  # parameters of fixtures are other fixtures

LISTED = [each for each in MODULES if each not in {GENERATED, CONSTANTS}]

CREATED_BY_WEENATS = {
    *("ClusterServer", "Consumption", "EventSubscription", "MessageContext", "NatsService"),
    "ReceivedEvent",
    "RequestContext",
}
"""Classes without Args, since users do not create their instances."""


def exports(name: str) -> list[str]:
    """Return `__all__` of a module."""
    module = importlib.import_module(name)
    is_empty = len(ast.parse(inspect.getsource(module)).body) == 1  # a docstring
    names: list[str] = [] if is_empty else module.__all__
    return names


def test_all_names_exist() -> None:
    """Each name in `__all__` exists and is listed once."""
    exported = [(module, name) for module in LISTED for name in exports(module)]
    missing = [
        f"{module}.{name}"
        for module, name in exported
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []
    assert len(exported) == len(set(exported))


def test_all_public_definitions_are_exported() -> None:
    """`__all__` has every public class and function that the module defines."""
    defined = {
        f"{module}.{name}"
        for module in LISTED
        if module not in EXPORTS
        for name, value in vars(importlib.import_module(module)).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
        and not name.startswith("_")
    }
    assert defined
    assert defined - {f"{module}.{name}" for module in LISTED for name in exports(module)} == set()


def test_exports_are_recorded() -> None:
    """`__all__` of a module for users is the recorded list."""
    recorded = {module: names.split() for module, names in EXPORTS.items()}
    assert {module: sorted(exports(module)) for module in EXPORTS} == recorded


class Documented:
    """A function, method or class whose docstring is checked.

    Attributes:
        name: The qualified name.
        docstring: The docstring in which its parameters and errors are described.
        parameters: The names of its parameters.
        raised: The names of the exceptions that its own body raises.
    """

    def __init__(self, name: str, docstring: str, function: _Function | None) -> None:
        self.name = name
        self.docstring = docstring
        self.parameters = set[str]() if function is None else _parameters(function)
        self.raised = set[str]() if function is None else set(_raised(function))


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _decorators(node: _Function | ast.ClassDef) -> set[str]:
    texts = [ast.unparse(decorator) for decorator in node.decorator_list]
    return {text.partition("(")[0].rpartition(".")[2] for text in texts}


def _parameters(function: _Function) -> set[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return {each.arg for each in every if not each.arg.startswith("_")} - {"self", "cls"}


def _raised(node: ast.AST) -> Iterator[str]:
    """Yield the names of raised classes, but for those in nested functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            raised = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = raised.attr if isinstance(raised, ast.Attribute) else ast.unparse(raised)
            if name.endswith("Error"):
                yield name
        yield from _raised(child)


def _of_class(node: ast.ClassDef) -> Iterator[Documented]:
    docstring = ast.get_docstring(node) or ""
    for child in node.body:
        if not isinstance(child, _Function) or "overload" in _decorators(child):
            continue
        if child.name in {"__init__", "__post_init__"} and node.name not in CREATED_BY_WEENATS:
            yield Documented(node.name, docstring, child)
        elif not child.name.startswith("_") and "override" not in _decorators(child):
            yield Documented(f"{node.name}.{child.name}", ast.get_docstring(child) or "", child)


def _source(name: str) -> str:
    return inspect.getsource(importlib.import_module(name))


@cache
def documented(name: str) -> list[Documented]:
    """Return what a module defines and exports, with the public methods of classes."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", ())
    found: list[Documented] = []
    for node in ast.parse(_source(name)).body:
        if isinstance(node, _Function) and node.name in names:
            found.append(Documented(node.name, ast.get_docstring(node) or "", node))
        elif isinstance(node, ast.ClassDef) and node.name in names:
            found += [Documented(node.name, ast.get_docstring(node) or "", None), *_of_class(node)]
    return found


def _refers(each: Documented) -> bool:
    """Whether a method refers to the protocol that it implements, as in: see `Transport`."""
    return re.search(r"[Ss]ee `\w+`", each.docstring) is not None


def _sections(docstring: str) -> dict[str, str]:
    """Return the sections of a Google-style docstring by title."""
    parts = re.split(
        r"^(Args|Attributes|Example|Raises|Returns|Yields):\n", docstring, flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _all_documented() -> list[tuple[str, Documented]]:
    """Return what the modules define and export, with the names of the modules."""
    found = [(name, each) for name in MODULES if name != FIXTURES for each in documented(name)]
    assert found
    return found


def test_parameters_are_documented() -> None:
    """Docstrings have all parameters: in Args, in Attributes of a class, or in backquotes."""
    missing = [
        f"{module}.{each.name}: {parameter}"
        for module, each in _all_documented()
        if not _refers(each)
        for parameter in sorted(each.parameters)
        if f"`{parameter}`" not in each.docstring
        and not re.search(rf"^ +\**{parameter}: ", each.docstring, flags=re.MULTILINE)
    ]
    assert missing == []


def test_raised_errors_are_documented() -> None:
    """Docstrings have a Raises section with each error that the function itself raises."""
    missing = [
        f"{module}.{each.name}: {error}"
        for module, each in _all_documented()
        if not _refers(each)
        for error in sorted(each.raised)
        if f"{error}: " not in _sections(each.docstring).get("Raises", "")
    ]
    assert missing == []


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Restore the handlers and the level of the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.slow
@pytest.mark.usefixtures("root_logger")
def test_examples(subtests: pytest.Subtests) -> None:
    """The examples in docstrings are valid Python; those that have their imports run."""
    examples = [
        (f"{module}.{each.name}", textwrap.dedent(example))
        for module in MODULES
        if "```python" in _source(module)
        for each in documented(module)
        for example in re.findall(r"```python\n(.*?)```", each.docstring, flags=re.DOTALL)
    ]
    assert examples
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for name, example in examples:
        with subtests.test(name):
            code = compile(example, f"<example of {name}>", "exec", flags, dont_inherit=True)
            if example.startswith(("import ", "from ")):
                exec(code, {"__name__": "__main__"})  # noqa: S102 - our own docstrings
