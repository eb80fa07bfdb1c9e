"""Objects that cannot be copied or pickled, since they have a connection or run something."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from typing_extensions import override

if TYPE_CHECKING:
    from typing import SupportsIndex

__all__ = ["Derivable", "Uncopyable"]


class Uncopyable:
    """An object with a connection: a copy would share it, and close it when the copy is collected.

    `copy`, `deepcopy` and `pickle` raise TypeError.
    """

    __slots__ = ()

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: it belongs to a connection or a"
            " process; share it, or create another one"
        )


class Derivable(Uncopyable):
    """An object that shares its connection with those derived from it, as by `with_*` methods.

    `copy` returns such an object; `deepcopy` and `pickle` raise TypeError.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied
