"""Conversion of contract names to valid, unreserved Python names."""

import ast
import builtins
import keyword

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weenats.errors
from weenats.client import ServiceClient, ServiceSyncClient
from weenats.service import ServiceHandlers
from weenats_codegen import naming, reserved

FUNCTIONS = (
    naming.class_name,
    naming.error_class_name,
    naming.handlers_class_name,
    naming.client_class_name,
    naming.sync_client_class_name,
    naming.constant_name,
    naming.method_name,
    naming.field_name,
    naming.package_name,
)


@given(st.text())
def test_any_text_becomes_identifier(text: str) -> None:
    """Any text becomes a public ASCII identifier that is not a keyword."""
    for name_of in FUNCTIONS:
        name = name_of(text)
        assert name.isascii()
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert not name.startswith("_")
        tree = ast.parse(name, mode="eval")
        assert isinstance(tree.body, ast.Name)


@given(st.text())
def test_reserved_names_are_avoided(text: str) -> None:
    """No name shadows a builtin or an import of the generated modules."""
    assert naming.class_name(text) not in reserved.classes()
    assert not hasattr(builtins, naming.class_name(text))
    assert not hasattr(builtins, naming.error_class_name(text))
    assert naming.error_class_name(text) not in reserved.classes()
    assert naming.constant_name(text) not in reserved.classes()
    assert naming.method_name(text) not in reserved.methods()
    assert not hasattr(builtins, naming.method_name(text))
    assert "_" not in naming.class_name(text) + naming.error_class_name(text)


@pytest.mark.parametrize(
    ("name", "classes", "constant", "method", "package"),
    [
        ("add-item", "AddItem", "ADD_ITEM", "add_item", "add_item"),
        ("addItem", "AddItem", "ADD_ITEM", "add_item", "add_item"),
        ("HTTPServer", "HTTPServer", "HTTP_SERVER", "http_server", "http_server"),
        ("item2-add", "Item2Add", "ITEM2_ADD", "item2_add", "item2_add"),
        ("import", "Import", "IMPORT", "import_", "import_"),
        ("list", "List" + "Model", "LIST", "list_", "list"),
        ("query", "QueryModel", "QUERY", "query_", "query"),
        ("contract", "Contract", "CONTRACT_", "contract_", "contract"),
        ("none", "NoneModel", "NONE", "none", "none"),
        ("1st", "N1st", "N1ST", "n1st", "n1st"),
        ("a--b_", "AB", "A_B", "a_b", "a_b"),
        ("café", "Cafe", "CAFE", "cafe", "cafe"),
        ("名前", "U540dU524d", "U540D_U524D", "u540d_u524d", "u540d_u524d"),
        ("", "Unnamed", "UNNAMED", "unnamed", "unnamed"),
    ],
)
def test_name_conversion(name: str, classes: str, constant: str, method: str, package: str) -> None:
    """Examples of every kind of name."""
    assert naming.class_name(name) == classes
    assert naming.constant_name(name) == constant
    assert naming.method_name(name) == method
    assert naming.package_name(name) == package


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("item-not-found", "ItemNotFoundError"),
        ("import-error", "DeclaredImportError"),
        ("payment-error", "PaymentError"),
        ("not-found", "DeclaredNotFoundError"),
        ("timeout", "DeclaredTimeoutError"),
        ("error", "Error"),
    ],
)
def test_error_class_names(name: str, expected: str) -> None:
    """An error class name ends in Error once, and shadows no other error."""
    assert naming.error_class_name(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lineTotal", "line_total"),
        ("class", "class_"),
        ("copy", "copy_"),
        ("id", "id"),
        ("_x", "x"),
    ],
)
def test_field_names(name: str, expected: str) -> None:
    """Properties become snake case attributes that shadow no attribute of pydantic."""
    assert naming.field_name(name) == expected


def test_names_have_a_limited_length() -> None:
    """Names of any length become short enough for a line."""
    for convert in (naming.class_name, naming.field_name):
        assert len(convert("long-name" * 1000)) <= naming.MAX_LENGTH + len("_")


def test_client_and_handlers_class_names() -> None:
    """The client and handlers classes are named after the service."""
    assert naming.client_class_name("receipts") == "ReceiptsClient"
    assert naming.sync_client_class_name("my-receipts") == "MyReceiptsSyncClient"
    assert naming.sync_client_class_name("service") == "DeclaredServiceSyncClient"
    assert naming.handlers_class_name("my-receipts") == "MyReceiptsHandlers"
    assert naming.handlers_class_name("event") == "EventHandlers"
    assert naming.client_class_name("model") == "ModelClient"
    assert naming.client_class_name("service") == "DeclaredServiceClient"
    assert naming.handlers_class_name("service") == "DeclaredServiceHandlers"


def test_reserved_methods_cover_runtime() -> None:
    """Every public attribute of the runtime's base classes is reserved."""
    public = {
        name
        for base in (ServiceClient, ServiceSyncClient, ServiceHandlers)
        for name in dir(base)
        if name[0] != "_"
    }
    assert public <= reserved.methods()


def test_reserved_errors_cover_runtime() -> None:
    """Every error class of the runtime is reserved."""
    classes = {name for name in vars(weenats.errors) if name.endswith("Error")}
    assert classes <= reserved.classes()


def test_reserved_fields_cover_pydantic() -> None:
    """Every public attribute of a pydantic model is reserved, except `model_*`."""
    public = {name for name in dir(pydantic.BaseModel) if not name.startswith(("_", "model_"))}
    assert public <= reserved.fields()


@pytest.mark.parametrize("package", ["email", "json", "nats", "weenats", "pydantic", "tests"])
def test_foreign_package_names_are_detected(package: str) -> None:
    """Names of the standard library and of other packages are detected."""
    assert reserved.is_package(package)
    assert not reserved.is_package(f"{package}_service")
