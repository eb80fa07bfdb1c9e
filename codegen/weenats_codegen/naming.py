"""The names of a contract -> Python names.

Every function accepts any text and returns a valid identifier. Two names of a contract may become
the same Python name, which `lint` refuses. A name that Python, pydantic or the runtime reserves is
changed here; the name on the wire is next to it in the generated code.
"""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from weenats_codegen import reserved

# "HTTPServer" -> HTTP Server, "addItem" -> add Item, "item2Add" -> item2 Add
_CAMEL: Final = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR: Final = re.compile(r"[^A-Za-z0-9]+")
MAX_LENGTH: Final = 64
"""How long a name may become: names of schemas and their members have any length."""


def words(name: str) -> list[str]:
    """Return the words of a name in ASCII; they are equal for "addItem", "add-item", "Add Item"."""
    letters = "".join(_ascii(character) for character in unicodedata.normalize("NFKD", name))
    return [word for part in _SEPARATOR.split(letters) for word in _CAMEL.split(part) if word]


def class_name(name: str) -> str:
    """Return the class of a schema: "add-item" -> "AddItem"."""
    joined = _camel(name)
    # Class names have no underscores (N801), so a reserved name gets another word.
    return f"{joined}Model" if joined in reserved.classes() else joined


def error_class_name(name: str) -> str:
    """Return the exception of a declared error: "item-not-found" -> "ItemNotFoundError"."""
    joined = _camel(name)
    whole = joined if joined.endswith("Error") else f"{joined}Error"
    return f"Declared{whole}" if whole in reserved.classes() else whole


def base_error_class_name(code: str) -> str:
    """Return the exception of a canonical code: "NOT_FOUND" -> "NotFoundError"."""
    return f"{''.join(map(str.capitalize, code.split('_')))}Error"


def handlers_class_name(service: str) -> str:
    """Return the abstract class of a service: "receipts" -> "ReceiptsHandlers"."""
    return _service_class(service, "Handlers")


def client_class_name(service: str) -> str:
    """Return the client of a service: "receipts" -> "ReceiptsClient"."""
    return _service_class(service, "Client")


def sync_client_class_name(service: str) -> str:
    """Return the synchronous client of a service: "receipts" -> "ReceiptsSyncClient"."""
    return _service_class(service, "SyncClient")


def consumer_class_name(service: str) -> str:
    """Return the abstract consumer of durable events: "receipts" -> "ReceiptsConsumer"."""
    return _service_class(service, "Consumer")


def constant_name(name: str) -> str:
    """Return the descriptor of an operation or event: "add-item" -> "ADD_ITEM"."""
    joined = _snake(name).upper()
    return f"{joined}_" if joined in reserved.classes() else joined


def aggregate_constant_name(name: str) -> str:
    """Return the descriptor of an aggregate: "receipt" -> "RECEIPT_AGGREGATE"."""
    return constant_name(f"{name}-aggregate")


def labels_meant(name: str, known: Iterable[str]) -> list[str]:
    """Return the labels of operations that a user may mean by a name.

    Args:
        name: What the user wrote: `add-item`, `order.get`, or `get` for any standard query.
        known: The labels of the operations.
    """
    known = list(known)
    return [name] if name in known else [each for each in known if each.endswith(f".{name}")]


def method_name(name: str) -> str:
    """Return the method of an operation: "add-item" -> "add_item", "import" -> "import_"."""
    return _unreserved(_snake(name), reserved.methods())


def iterating_method(name: str) -> str:
    """Return the method that iterates over all pages of a list query."""
    return f"iterate_{method_name(name).rstrip('_')}"


def event_methods(name: str) -> tuple[str, str]:
    """Return the methods that publish an event and subscribe to it."""
    method = method_name(name).rstrip("_")
    return f"publish_{method}", f"subscribe_{method}"


def consumer_method(name: str) -> str:
    """Return the method of a consumer that handles an event: "item-added" -> "item_added"."""
    return _unreserved(_snake(name), reserved.consumer_methods())


def field_name(name: str) -> str:
    """Return the attribute of a property: "lineTotal" -> "line_total", "copy" -> "copy_".

    `lint` refuses two properties with the same attribute, which datamodel-code-generator would
    number.
    """
    attribute = _snake(name)
    if attribute.startswith("model_") and (
        attribute in reserved.fields() or reserved.is_protected_field(attribute)
    ):
        return f"field_{attribute}"
    return _unreserved(attribute, reserved.fields())


def package_name(name: str) -> str:
    """Return the package of a service: "my-receipts" -> "my_receipts"."""
    return _unreserved(_snake(name), frozenset())


def handlers_stub_name(service: str, models: AbstractSet[str]) -> str:
    """Return the class in handlers.py: "receipts" -> "Receipts".

    Args:
        service: The name of the service.
        models: The classes of its models, which the file imports.
    """
    name = _camel(service)
    return f"{name}Service" if name in models or name in reserved.classes() else name


def _service_class(service: str, suffix: str) -> str:
    name = f"{_camel(service)}{suffix}"
    return f"Declared{name}" if name in reserved.classes() else name


def _camel(name: str) -> str:
    joined = "".join(word[0].upper() + word[1:] for word in words(name)) or "Unnamed"
    return (f"N{joined}" if joined[0].isdigit() else joined)[:MAX_LENGTH]


def _snake(name: str) -> str:
    joined = "_".join(words(name)).lower() or "unnamed"
    return (f"n{joined}" if joined[0].isdigit() else joined)[:MAX_LENGTH].rstrip("_")


def _unreserved(name: str, taken: AbstractSet[str]) -> str:
    return f"{name}_" if name in taken or keyword.iskeyword(name) else name


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Mn":  # an accent that NFKD separated from its letter
        return ""
    # A character without an ASCII form becomes its number, so that it differs from others.
    return "-" if category[0] in "ZPC" else f"-u{ord(character):x}-"
