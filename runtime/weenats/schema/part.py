"""The type of a part of a message: a payload, a result, a state, the data of an event, details."""

from types import NoneType
from typing import Any, Final, Generic, TypeVar, final

from typing_extensions import TypeAliasType

from weenats.model import Model
from weenats.schema.judge import Judge

__all__ = ["Schema", "declared_type", "is_model", "judge_of", "type_name"]
PartT = TypeVar("PartT")
_MAX_NAME: Final = 100


@final
class Schema(Generic[PartT]):
    """The type of a message part that is not a model class, or whose type needs a judge.

    Args:
        python_type: the Python type: a model, a named alias of any type, `Entity[...]`.
        judge: the exact validator of the JSON Schema of the part, of the state for an `Entity`;
            None when the type enforces all of it.

    Attributes:
        type: the Python type.
        judge: the judge, None without one.

    Example:
        ```python
        operations = [
            Command(name="tag", payload=Schema[Tags](Tags), **common),
            Command(name="sort", payload=Schema[Rule](Rule, JSON_SCHEMAS["Rule"]), **common),
        ]
        ```
    """

    __slots__ = ("judge", "type")

    def __init__(self, python_type: object, judge: Judge | None = None) -> None:
        # pydantic cannot build an alias of a class that refers to itself.
        while isinstance(python_type, TypeAliasType) and isinstance(
            value := python_type.__value__, type | TypeAliasType
        ):
            python_type = value
        self.type: Any = NoneType if python_type is None else python_type
        self.judge = judge

    def __repr__(self) -> str:
        return f"Schema[{type_name(self)}]"


def declared_type(part: type[Any] | Schema[Any]) -> Any:  # noqa: ANN401 - any type, an alias for example
    """Return the Python type of a part.

    Args:
        part: a type or a Schema.
    """
    return part.type if isinstance(part, Schema) else part


def judge_of(part: type[Any] | Schema[Any]) -> Judge | None:
    """Return the judge of a part, None without one.

    Args:
        part: a type or a Schema.
    """
    return part.judge if isinstance(part, Schema) else None


def type_name(part: type[Any] | Schema[Any]) -> str:
    """Return the name of the Python type of a part, for messages.

    Args:
        part: a type or a Schema.
    """
    kind = declared_type(part)
    return (kind.__name__ if isinstance(kind, type) else str(kind))[:_MAX_NAME]


def is_model(kind: object) -> bool:
    """Return whether a type is a class of models.

    Args:
        kind: the type.
    """
    return isinstance(kind, type) and issubclass(kind, Model)
