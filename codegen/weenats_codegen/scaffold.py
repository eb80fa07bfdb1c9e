"""A new contract folder: a small contract of any name, or the sample."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from weenats_codegen.lint.shape import SERVICE_NAME
from weenats_codegen.loading import read
from weenats_codegen.output.lock import locked
from weenats_codegen.output.transaction import STAGE_PREFIX, recover
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.syntax import parse_yaml
from weenats_codegen.resources import sample_contract, service_meta_schema

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")
_META_SCHEMA: Final = "service.schema.json"
_LONGEST: Final = 50 - len("-not-found")
"""Letters of the aggregate: errors have its name with an ending, and 50 letters at most."""
_OTHER_NAME: Final = "choose another name"


def scaffold(name: str, root: Path) -> list[Path]:
    """Write a contract to `schemas/NAME`, and next to it the meta-schema that editors use.

    Args:
        name: The name of the service, usually in the plural.
        root: The folder that contains `schemas`.

    Returns:
        The files that were written.

    Raises:
        ContractError: The name is not a valid service name, makes no valid contract, or is in
            use. Nothing is written then.
        OSError: The files cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise _error(quoted(name), *SERVICE_NAME)
    if len(singular(name)) > _LONGEST:
        message = "is too long: the names of its errors begin with that of the aggregate"
        raise _error(quoted(name), message, f"use at most {_LONGEST} letters")
    texts = {f"{name}/{file}": text for file, text in _render(name).items()}
    return _write(texts, root / "schemas")


def scaffold_sample(root: Path) -> list[Path]:
    """Write the contract of the sample, which the guides use, and its library."""
    return _write(sample_contract(), root / "schemas")


def singular(plural: str) -> str:
    """Return the singular of a name: "receipts" -> "receipt"."""
    if plural.endswith("ies") and len(plural) > len("ties"):
        return f"{plural[:-3]}y"
    if plural.endswith(("sses", "xes", "ches", "shes")):
        return plural[:-2]
    is_plural = plural.endswith("s") and not plural.endswith(("ss", "us", "is")) and plural != "s"
    return plural[:-1] if is_plural else plural


def _error(file: str, message: str, remedy: str) -> ContractError:
    return ContractError([Diagnostic(Location(file), message, remedy)])


def _render(name: str) -> dict[str, str]:
    """Return the files of a contract, by name."""
    environment = Environment(  # noqa: S701 - YAML and JSON; the name has letters and dashes only
        loader=PackageLoader("weenats_codegen.render", "templates/new"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["scalar"] = _scalar
    aggregate = singular(name)
    values = {
        "service": name,
        "plural": name.replace("-", " ").strip(),
        "aggregate": aggregate,
        "noun": aggregate.replace("-", " ").strip(),
    }
    schema = f"{aggregate}.schema.json"
    templates = {"service.yaml": "service.yaml.jinja", schema: "aggregate.schema.json.jinja"}
    return {
        file: environment.get_template(template).render(values)
        for file, template in templates.items()
    }


def _scalar(text: str) -> str:
    """Quote a name that YAML would take for something else, such as null."""
    return text if parse_yaml(text).value == text else f"'{text}'"


def _write(texts: dict[str, str], schemas: Path) -> list[Path]:
    """Write to a temporary folder first, so that an error leaves nothing incomplete.

    Args:
        texts: The texts of whole folders, by path below `schemas`; the first is the contract.
        schemas: The folder for them.
    """
    folders = list(dict.fromkeys(schemas / Path(file).parent for file in texts))
    try:
        with locked(schemas):
            for folder in folders:
                if folder.exists():
                    remedy = f"{_OTHER_NAME}, or remove it"
                    raise _error(folder.as_posix(), "already exists", remedy)
            recover(schemas)
            with tempfile.TemporaryDirectory(dir=schemas, prefix=STAGE_PREFIX) as scratch:
                return _move(texts, folders, Path(scratch))
    except OSError as error:
        # Users know their folder, not that of the stage. A full disk has no name.
        name = str(error.filename or STAGE_PREFIX)
        place = folders[0] if STAGE_PREFIX in name else name
        raise OSError(error.errno, error.strerror, os.fspath(place)) from None


def _move(texts: dict[str, str], folders: list[Path], scratch: Path) -> list[Path]:
    schemas = folders[0].parent
    for folder in folders:
        (scratch / folder.name).mkdir()
    for file, text in texts.items():
        (scratch / file).write_text(text, encoding="utf-8", newline="\n")
    try:
        read(scratch / folders[0].name)
    except ContractError as error:  # the name is that of another package, for example
        reason = error.diagnostics[0].message
        raise _error(folders[0].as_posix(), reason, _OTHER_NAME) from None
    written = [schemas / file for file in texts]
    meta_schema = schemas / _META_SCHEMA
    if not meta_schema.exists():
        draft = scratch / _META_SCHEMA
        draft.write_text(service_meta_schema(), encoding="utf-8", newline="\n")
        draft.rename(meta_schema)
        written.append(meta_schema)
    for folder in reversed(folders):  # libraries before the contract that uses them
        (scratch / folder.name).rename(folder)
    return written
