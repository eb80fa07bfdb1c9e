"""Multiples of a fraction, such as 0.01.

jsonschema-rs divides numbers of hundreds of digits: 100,000 numbers such as 1.1e308, which are less
than 1 MB, keep it busy for seconds. Here the time does not depend on the exponent.
"""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Final

__all__ = ["MultipleOf"]
_USUAL: Final = Context(prec=50, Emin=MIN_EMIN, Emax=MAX_EMAX)
_EXACT: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


class MultipleOf:
    """The keyword `multipleOf` for jsonschema-rs.

    Args:
        parent_schema: the schema that has the keyword.
        value: the value of the keyword.
        schema_path: where the keyword stands.
    """

    __slots__ = ("_step",)

    def __init__(
        self, parent_schema: dict[str, Any], value: object, schema_path: list[str | int]
    ) -> None:
        del parent_schema, schema_path
        self._step = Decimal(str(value))

    def validate(self, instance: object) -> None:
        """Check a value.

        Args:
            instance: a JSON value.

        Raises:
            ValueError: it is a number that is not a multiple.
        """
        if isinstance(instance, int | float | Decimal) and not isinstance(instance, bool):
            # The shortest digits of a float: 0.3 is a multiple of 0.1.
            number = Decimal(repr(instance)) if isinstance(instance, float) else Decimal(instance)
            if not _is_multiple(number, self._step):
                raise ValueError("not a multiple")


def _is_multiple(number: Decimal, step: Decimal) -> bool:
    try:
        return not _USUAL.remainder(number, step)
    except InvalidOperation:
        pass  # the quotient has more digits
    factor, exponent = _parts(number)
    divisor, step_exponent = _parts(step)
    shift = exponent - step_exponent
    if shift < 0:  # the factor is not a multiple of ten
        return False
    modulus = int(divisor)
    return int(_EXACT.remainder(factor, divisor)) * pow(10, shift, modulus) % modulus == 0


def _parts(number: Decimal) -> tuple[Decimal, int]:
    """Return an integer that is not a multiple of ten, and the power of ten to multiply it with."""
    normal = _EXACT.normalize(number)
    exponent = int(normal.as_tuple().exponent)
    return _EXACT.scaleb(normal, -exponent), exponent
