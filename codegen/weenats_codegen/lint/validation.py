"""Validation by jsonschema-rs: what a value breaks, and where."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import jsonschema_rs
from pydantic import JsonValue

from weenats_codegen.parser.dialects import DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020
from weenats_codegen.resources import service_meta_schema

_VALIDATORS: Final = {
    DRAFT_4.draft: jsonschema_rs.Draft4Validator,
    DRAFT_6.draft: jsonschema_rs.Draft6Validator,
    DRAFT_7.draft: jsonschema_rs.Draft7Validator,
    DRAFT_2019.draft: jsonschema_rs.Draft201909Validator,
    DRAFT_2020.draft: jsonschema_rs.Draft202012Validator,
}
_URIS: Final = {
    dialect.draft: dialect.uri for dialect in (DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020)
}


class Violation(NamedTuple):
    """A keyword of a schema that a value does not satisfy.

    Attributes:
        path: The place of the value.
        keyword: The keyword.
        expected: The value of the keyword.
        schema: The schema with the keyword.
        value: The value.
        is_name: Whether the value is the name of a member.
    """

    path: tuple[str | int, ...]
    keyword: str
    expected: Any
    schema: dict[str, Any]
    value: Any
    is_name: bool = False


def contract_violations(contract: JsonValue) -> Iterator[Violation]:
    """Yield what makes a contract an invalid one; the schemas inside it are not checked here.

    Args:
        contract: The content of service.yaml.
    """
    schema, validator = _service_meta_schema()
    for error in validator.iter_errors(contract):
        yield _violation(schema, error)


def schema_violations(schema: JsonValue, draft: int) -> Iterator[Violation]:
    """Yield what makes a schema an invalid one.

    Args:
        schema: The schema.
        draft: The number of its draft in jsonschema-rs.
    """
    validator = _meta_validator(draft)
    if not validator.is_valid(schema):
        for error in validator.iter_errors(schema):
            path, kind = tuple(error.instance_path), error.kind
            yield Violation(path, kind.name, kind.value, {}, error.instance)


def _violation(schema: dict[str, Any], error: jsonschema_rs.ValidationError) -> Violation:
    path = tuple(error.instance_path)
    steps = [str(step) for step in error.schema_path]
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.PropertyNames):
        return Violation(path, "propertyNames", None, {}, error.kind.error.instance, is_name=True)
    for step in steps[:-1]:
        schema = schema[step]
    return Violation(path, steps[-1], schema[steps[-1]], schema, error.instance)


@cache
def _service_meta_schema() -> tuple[dict[str, Any], jsonschema_rs.Draft202012Validator]:
    schema = json.loads(service_meta_schema())
    schema["$defs"]["schema"] = True
    return schema, jsonschema_rs.Draft202012Validator(schema, offline=True)


@cache
def _meta_validator(draft: int) -> jsonschema_rs.Validator:
    # Patterns are checked apart, and a `$ref` may have characters that URIs must escape.
    return _VALIDATORS[draft]({"$ref": _URIS[draft]}, validate_formats=False, offline=True)
