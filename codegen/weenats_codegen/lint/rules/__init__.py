"""The rules for what hurts later: one file a rule. Its id is the name of its file."""

from typing import Final

from weenats_codegen.lint.rule import Rule
from weenats_codegen.lint.rules.ambiguous_one_of import AMBIGUOUS_ONE_OF
from weenats_codegen.lint.rules.closed_reply import CLOSED_REPLY
from weenats_codegen.lint.rules.float_for_money import FLOAT_FOR_MONEY
from weenats_codegen.lint.rules.inconsistent_name import INCONSISTENT_NAME
from weenats_codegen.lint.rules.invalid_example import INVALID_EXAMPLE
from weenats_codegen.lint.rules.missing_description import MISSING_DESCRIPTION
from weenats_codegen.lint.rules.unbounded_array import UNBOUNDED_ARRAY
from weenats_codegen.lint.rules.unbounded_map import UNBOUNDED_MAP
from weenats_codegen.lint.rules.unbounded_string import UNBOUNDED_STRING
from weenats_codegen.lint.rules.undeclared_required import UNDECLARED_REQUIRED
from weenats_codegen.lint.rules.unknown_dialect import UNKNOWN_DIALECT
from weenats_codegen.lint.rules.untyped_schema import UNTYPED_SCHEMA
from weenats_codegen.lint.rules.unused_error import UNUSED_ERROR
from weenats_codegen.lint.rules.unused_event import UNUSED_EVENT

WARNINGS: Final[tuple[Rule, ...]] = (
    UNBOUNDED_STRING,
    UNBOUNDED_ARRAY,
    UNBOUNDED_MAP,
    UNTYPED_SCHEMA,
    UNDECLARED_REQUIRED,
    UNKNOWN_DIALECT,
    MISSING_DESCRIPTION,
    AMBIGUOUS_ONE_OF,
    FLOAT_FOR_MONEY,
    INCONSISTENT_NAME,
    UNUSED_EVENT,
    UNUSED_ERROR,
    INVALID_EXAMPLE,
    CLOSED_REPLY,
)
