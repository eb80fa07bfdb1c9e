"""A name -> a new contract folder: the receipts sample with other names, ready to be changed."""

from __future__ import annotations

import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError, Problem, shown
from weenats_codegen.parser.source import load
from weenats_codegen.parser.syntax import parse_yaml
from weenats_codegen.resources import service_meta_schema

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")
_META_SCHEMA: Final = "service.schema.json"
_ANOTHER: Final = "choose another name"


def scaffold(name: str, root: Path) -> list[Path]:
    """Write a contract to `schemas/NAME`, and beside it the meta-schema that editors check with.

    Args:
        name: The name of the service, in the plural as a rule.
        root: The folder that holds `schemas`.

    Returns:
        The files that were written.

    Raises:
        ContractError: The name is no service's name, makes no valid contract, or is in use; or the
            files cannot be written. Nothing is written then.
    """
    if not _NAME.fullmatch(name):
        remedy = "use lower-case letters, digits and dashes, a letter first, at most 50 in all"
        raise ContractError([Problem(shown(name), "", "is no name of a service", remedy)])
    folder = root / "schemas" / name
    if folder.exists():
        message, remedy = "exists already", f"{_ANOTHER}, or remove it"
        raise ContractError([Problem(folder.as_posix(), "", message, remedy)])
    texts = _render(name)
    try:
        _try(texts, folder)
        return _write(texts, folder)
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else folder.as_posix()
        message = f"cannot be written ({error.strerror})"
        raise ContractError([Problem(place, "", message, "choose another folder")]) from None


def singular(plural: str) -> str:
    """Return what a service that is named in the plural holds: "receipts" -> "receipt"."""
    if plural.endswith("ies") and len(plural) > len("ties"):
        return f"{plural[:-3]}y"
    if plural.endswith(("sses", "xes", "ches", "shes")):
        return plural[:-2]
    kept = ("ss", "us", "is")
    return (
        plural[:-1]
        if plural.endswith("s") and not plural.endswith(kept) and plural != "s"
        else plural
    )


def _render(name: str) -> dict[str, str]:
    """Return the files of a contract, by name."""
    environment = Environment(  # noqa: S701 - YAML and JSON; the name holds letters and dashes only
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["scalar"] = _scalar
    aggregate = singular(name)
    values = {
        "service": name,
        "plural": name.replace("-", " ").strip(),
        "aggregate": aggregate,
        "noun": aggregate.replace("-", " ").strip(),
    }
    templates = files("weenats_codegen.render") / "templates" / "new"
    return {
        file: environment.from_string((templates / template).read_text(encoding="utf-8")).render(
            values
        )
        for file, template in (
            ("service.yaml", "service.yaml.jinja"),
            (f"{aggregate}.schema.json", "aggregate.schema.json.jinja"),
        )
    }


def _scalar(text: str) -> str:
    """Quote a name that YAML would take for something else, like null."""
    return text if parse_yaml(text).value == text else f"'{text}'"


def _try(texts: dict[str, str], folder: Path) -> None:
    """Refuse a name whose contract would not be valid."""
    with tempfile.TemporaryDirectory() as scratch:
        for file, text in texts.items():
            Path(scratch, file).write_text(text, encoding="utf-8")
        problems = lint(load(Path(scratch)))
    if problems:
        why = problems[0]
        message = f"this name makes no valid contract ({why.pointer} {why.message})"
        raise ContractError([Problem(folder.as_posix(), "", message, _ANOTHER)])


def _write(texts: dict[str, str], folder: Path) -> list[Path]:
    """Write beside the place first, so that an error leaves nothing half done."""
    schemas = folder.parent
    schemas.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=schemas, prefix=".weenats-") as scratch:
        whole = Path(scratch, folder.name)
        whole.mkdir()
        for file, text in texts.items():
            (whole / file).write_text(text, encoding="utf-8", newline="\n")
        written = [folder / file for file in texts]
        meta_schema = schemas / _META_SCHEMA
        if not meta_schema.exists():
            draft = Path(scratch, _META_SCHEMA)
            draft.write_text(service_meta_schema(), encoding="utf-8", newline="\n")
            draft.rename(meta_schema)
            written.append(meta_schema)
        whole.rename(folder)
    return written
