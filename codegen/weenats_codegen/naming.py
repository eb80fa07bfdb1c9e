"""The names of a contract -> Python names.

Every function accepts any text and returns a valid identifier. Two names of a contract may become
the same Python name, which `lint` refuses. A name that Python, pydantic or the runtime reserves is
changed here; the name on the wire is next to it in the generated code.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import unicodedata
from typing import Final

# "HTTPServer" -> HTTP Server, "addItem" -> add Item, "item2Add" -> item2 Add
_CAMEL: Final = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR: Final = re.compile(r"[^A-Za-z0-9]+")

CLIENT_ATTRIBUTES: Final = frozenset({
    "check_health", "close", "connect", "connection", "contract", "copy", "execute",
    "get_service_info", "get_service_stats", "list_instances", "options", "query", "telemetry",
    "transport", "wait_until_available", "with_context", "with_correlation_id", "with_header",
    "with_headers", "with_interceptor", "with_retry", "with_telemetry", "with_timeout",
    "with_token",
})  # fmt: skip
HANDLERS_ATTRIBUTES: Final = frozenset(
    {"bind", "contract", "endpoints", "telemetry", "transport", "unbind"}
)
RESERVED_METHODS: Final = CLIENT_ATTRIBUTES | HANDLERS_ATTRIBUTES
"""Methods that generated clients and handlers have, or that are reserved for them."""

RESERVED_CLASSES: Final = frozenset({
    # Python and typing, as generated modules import them
    "Annotated", "Any", "Callable", "ClassVar", "Final", "Literal", "Mapping", "None", "NoneType",
    "Self", "Sequence", "StrEnum", "TypeAlias", "TypeVar", "TypedDict", "Union", "Unpack",
    "Decimal", "Enum", "UUID", "Optional", "Dict", "List", "Set", "Tuple", "Type", "Generic",
    # letters that look like digits (E742)
    "I", "O",
    # pydantic
    "AnyUrl", "AwareDatetime", "BaseModel", "ConfigDict", "Field", "MISSING", "Model", "OMIT_NONE",
    "RootModel",
    # the runtime, as generated modules import it
    "CallOptions", "Command", "Endpoint", "Entity", "Event", "EventHandler", "EventSubscription",
    "NatsServiceBuilder", "PublishOptions", "Query", "RequestContext", "ServiceClient",
    "ServiceContract", "ServiceError", "ServiceHandlers", "SubscribeOptions",
})  # fmt: skip
RESERVED_ERRORS: Final = frozenset({
    "AbortedError", "AlreadyExistsError", "CancelledError", "ConnectionLostError",
    "DeadlineExceededError", "FailedPreconditionError", "InternalError", "InvalidArgumentError",
    "MessageTooLargeError", "NoRespondersError", "NotFoundError", "PermissionDeniedError",
    "ResourceExhaustedError", "ServiceError", "UnauthenticatedError", "UnavailableError",
    "UnimplementedError",
})  # fmt: skip
RESERVED_CONSTANTS: Final = frozenset({"CONTRACT", "MISSING", "OMIT_NONE"})
RESERVED_FIELDS: Final = frozenset({
    "construct", "copy", "dict", "from_orm", "json", "parse_file", "parse_obj", "parse_raw",
    "schema", "schema_json", "update_forward_refs", "validate",
})  # fmt: skip
"""The attributes of pydantic.BaseModel that do not start with `model_`."""

RESERVED_PACKAGES: Final = frozenset({
    "aiobreaker", "aiolimiter", "codegen", "datamodel_code_generator", "generated", "jinja2", "jwt",
    "nats", "opentelemetry", "pydantic", "rich", "runtime", "tests", "typer", "ulid", "weenats",
    "weenats_codegen", "yaml",
})  # fmt: skip

_BUILTINS: Final = frozenset(dir(builtins))


def words(name: str) -> list[str]:
    """Return the words of a name in ASCII; they are equal for "addItem", "add-item", "Add Item"."""
    letters = "".join(_ascii(character) for character in unicodedata.normalize("NFKD", name))
    return [word for part in _SEPARATOR.split(letters) for word in _CAMEL.split(part) if word]


def class_name(name: str) -> str:
    """Return the class of a schema: "add-item" -> "AddItem"."""
    joined = _camel(name)
    # Class names have no underscores (N801), so a reserved name gets another word.
    taken = joined in RESERVED_CLASSES or joined in _BUILTINS or joined in RESERVED_ERRORS
    return f"{joined}Model" if taken else joined


def error_class_name(name: str) -> str:
    """Return the exception of a declared error: "item-not-found" -> "ItemNotFoundError"."""
    joined = _camel(name)
    whole = joined if joined.endswith("Error") else f"{joined}Error"
    taken = whole in RESERVED_ERRORS or whole in _BUILTINS
    return f"Declared{whole}" if taken else whole


def base_error_class_name(code: str) -> str:
    """Return the exception of a canonical code: "NOT_FOUND" -> "NotFoundError"."""
    return f"{''.join(map(str.capitalize, code.split('_')))}Error"


def handlers_class_name(service: str) -> str:
    """Return the abstract class of a service: "receipts" -> "ReceiptsHandlers"."""
    return _service_class(service, "Handlers")


def client_class_name(service: str) -> str:
    """Return the client of a service: "receipts" -> "ReceiptsClient"."""
    return _service_class(service, "Client")


def constant_name(name: str) -> str:
    """Return the descriptor of an operation or event: "add-item" -> "ADD_ITEM"."""
    joined = _snake(name).upper()
    return f"{joined}_" if joined in RESERVED_CONSTANTS else joined


def method_name(name: str) -> str:
    """Return the method of an operation: "add-item" -> "add_item", "import" -> "import_"."""
    return _unreserved(_snake(name), RESERVED_METHODS | _BUILTINS)


def event_methods(name: str) -> tuple[str, str]:
    """Return the methods that publish an event and subscribe to it."""
    method = method_name(name).rstrip("_")
    return f"publish_{method}", f"subscribe_{method}"


def field_name(name: str) -> str:
    """Return the attribute of a property: "lineTotal" -> "line_total", "copy" -> "copy_".

    `lint` refuses two properties with the same attribute, which datamodel-code-generator would
    number.
    """
    return _unreserved(_snake(name), RESERVED_FIELDS)


def package_name(name: str) -> str:
    """Return the package of a service: "my-receipts" -> "my_receipts"."""
    return _unreserved(_snake(name), frozenset())


def is_reserved_package(package: str) -> bool:
    """Return whether a package name is that of the standard library or of a dependency."""
    return package in RESERVED_PACKAGES or package in sys.stdlib_module_names


def _service_class(service: str, suffix: str) -> str:
    name = f"{_camel(service)}{suffix}"
    return f"Declared{name}" if name in RESERVED_CLASSES else name


def _camel(name: str) -> str:
    joined = "".join(word[0].upper() + word[1:] for word in words(name)) or "Unnamed"
    return f"N{joined}" if joined[0].isdigit() else joined


def _snake(name: str) -> str:
    joined = "_".join(words(name)).lower() or "unnamed"
    return f"n{joined}" if joined[0].isdigit() else joined


def _unreserved(name: str, taken: frozenset[str]) -> str:
    return f"{name}_" if name in taken or keyword.iskeyword(name) else name


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Mn":  # an accent that NFKD separated from its letter
        return ""
    # A character without an ASCII form becomes its number, so that it differs from others.
    return "-" if category[0] in "ZPC" else f"-u{ord(character):x}-"
