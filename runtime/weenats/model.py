"""The base of every generated model: strict in what it takes, wire names on the wire only."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A value of a contract.

    Python code may construct it by field name; the wire knows the contract's names (aliases) only.
    Nothing is
    coerced: `"1"` is no integer, NaN and infinities are no numbers. An optional member that was not
    given is `pydantic.MISSING`, never None, and is left out of the wire.
    """

    model_config = ConfigDict(
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )
