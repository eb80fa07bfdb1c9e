"""Frozen dataclasses that take little time to define."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, field, replace
from typing import Generic, TypeVar

import pytest

from weenats._internal.descriptor import descriptor

ValueT = TypeVar("ValueT")


@descriptor
class Base:
    """What others have in common."""

    name: str
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.name.upper())


@descriptor
class Derived(Base, Generic[ValueT]):
    """One more."""

    value: ValueT
    note: str | None = None


def test_members_defaults_and_computed_members() -> None:
    """It has the members that were given, defaults, and what `__post_init__` sets."""
    made = Derived(name="a", value=1)
    assert (made.name, made.label, made.value, made.note) == ("a", "A", 1, None)
    assert repr(made) == "Derived(name='a', label='A', value=1, note=None)"
    assert not hasattr(made, "__dict__")


def test_wrong_members_are_named() -> None:
    """A member that is missing, unknown or computed is refused by its name."""
    with pytest.raises(TypeError, match="Derived needs value"):
        Derived(name="a")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="Base has no other"):
        Base(name="a", other=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="Base has no label"):
        Base(name="a", label="B")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def test_it_cannot_change() -> None:
    """Assigning and deleting fail."""
    made = Base(name="a")
    with pytest.raises(FrozenInstanceError, match="name"):
        made.name = "b"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(FrozenInstanceError, match="name"):
        del made.name  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert made.name == "a"


def test_identity_is_equality() -> None:
    """Two with the same members are different, and can be keys."""
    made = Base(name="a")
    assert made != Base(name="a")
    assert {made: 1}[made] == 1


@pytest.mark.parametrize("again", [copy, deepcopy, lambda each: pickle.loads(pickle.dumps(each))])  # noqa: S301
def test_copies_have_the_same_members(again: object) -> None:
    """Copies, and what was pickled, have the same members; `replace` changes some."""
    made = Derived(name="a", value=[1])
    assert callable(again)
    assert repr(again(made)) == repr(made)
    assert repr(replace(made, name="b")) == "Derived(name='b', label='B', value=[1], note=None)"
