"""Frozen dataclasses that take little time to define.

A dataclass compiles the source of each of its methods when it is defined, which takes half a
millisecond for a frozen one: a program that imports a client would spend ten milliseconds on that.
"""

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, Final, TypeVar, cast, dataclass_transform

__all__ = ["descriptor"]
KindT = TypeVar("KindT", bound=type)
_NAMES: Final = (
    *("__init__", "__repr__", "__setattr__", "__delattr__"),
    *("__getstate__", "__setstate__"),
)


@dataclass_transform(
    eq_default=False, kw_only_default=True, frozen_default=True, field_specifiers=(field,)
)
def descriptor(kind: KindT) -> KindT:
    """Make a class a dataclass with `frozen=True, slots=True, kw_only=True, eq=False`.

    It is for what a program creates once: creating an instance takes longer than with a dataclass.

    Args:
        kind: the class. It has a docstring: without one, `dataclass` looks for its signature, which
            takes longer than all the rest. Its fields have no `default_factory`.
    """
    define = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)
    made = cast("KindT", define(kind))
    for name in _NAMES:
        setattr(made, name, vars(_Methods)[name])
    return made


class _Methods:
    """The methods of all these classes."""

    def __init__(self, **members: object) -> None:
        for each in _fields(self):
            if each.init and each.name in members:
                object.__setattr__(self, each.name, members.pop(each.name))
            elif each.default is not MISSING:
                object.__setattr__(self, each.name, each.default)
            elif each.init:
                raise TypeError(f"{type(self).__name__} needs {each.name}")
        if members:
            raise TypeError(f"{type(self).__name__} has no {min(members)}")
        check = getattr(self, "__post_init__", None)
        if check is not None:
            check()

    def __repr__(self) -> str:
        members = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in _fields(self))
        return f"{type(self).__qualname__}({members})"

    def __setattr__(self, name: str, _: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    # Without these, copies and unpickled objects would be made with `__setattr__`.
    def __getstate__(self) -> list[object]:
        return [getattr(self, each.name) for each in _fields(self)]

    def __setstate__(self, state: list[object]) -> None:
        for each, value in zip(_fields(self), state, strict=True):
            object.__setattr__(self, each.name, value)


def _fields(instance: object) -> tuple[Field[Any], ...]:
    return fields(cast("Any", instance))
