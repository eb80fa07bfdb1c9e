"""Arguments that mean more than their text; a bad one is wrong usage."""

import json
import sys

import typer
from pydantic import JsonValue

from weenats.protocol import subjects


def service_name(text: str) -> str:
    """Return the name of a service."""
    try:
        return subjects.check_service_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def json_text(text: str | None) -> JsonValue:
    """Return the value of a JSON text; `-` reads standard input, nothing is an empty object."""
    if text is None:
        return {}
    try:
        value: JsonValue = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise typer.BadParameter(f"the payload is no JSON: {error}") from None
    except RecursionError:
        raise typer.BadParameter("the payload is nested too deeply") from None
    return value
