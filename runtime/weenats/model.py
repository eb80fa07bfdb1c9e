"""The base class of generated models: strict types, wire names as aliases."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Model"]


class Model(BaseModel):
    """The base class of the models that are generated from the schemas of a contract.

    Fields have Python names, and the names in the contract are their aliases. The constructor
    accepts both; JSON always uses the aliases. Values are not converted to another type: `"1"` is
    not an integer, and NaN and infinities are not numbers. The value of an optional field that was
    not set is `pydantic.MISSING`, never None, and JSON does not contain it. The text of a
    ValidationError names the member that is wrong, and does not show its value.

    Example:
        ```python
        from typing import Annotated

        from pydantic import MISSING, Field
        from weenats import Model

        class Item(Model):
            unit_price: Annotated[float, Field(alias="unitPrice")]
            note: str | MISSING = MISSING

        item = Item(unit_price=2.5)
        assert item.model_dump_json() == '{"unitPrice":2.5}'
        assert item.note is MISSING
        ```
    """

    model_config = ConfigDict(
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
