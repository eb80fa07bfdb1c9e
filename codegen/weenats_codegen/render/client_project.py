"""The files that make a client package a project of its own: pyproject.toml and README.md."""

import re
from importlib.metadata import version as version_of
from typing import Final

from weenats_codegen.ir.contract import Contract, Operation
from weenats_codegen.render import literals
from weenats_codegen.render.environment import environment
from weenats_codegen.render.examples import example_classes, example_expression, example_key
from weenats_codegen.render.package import source_of
from weenats_codegen.reserved import MARK

_SEMVER: Final = re.compile(r"([0-9.]+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")
_PRE_RELEASE: Final = re.compile(r"(?:a|alpha|b|beta|c|rc|pre|preview|dev)[.-]?[0-9]*")
_RELEASE: Final = re.compile(r"([0-9]+)\.([0-9]+)")
_MAX_SUMMARY: Final = 512
"""The longest summary that the Python Package Index accepts."""


def usage(contract: Contract, package: str) -> str:
    """Return a program that uses the client, not formatted yet.

    Args:
        contract: The contract.
        package: The Python package of the client.
    """
    connected = f'{contract.client}.connect("nats://localhost:4222") as client'
    for operation in contract.operations:
        argument = example_expression(contract, operation.payload) if operation.payload else ""
        key, import_key = example_key(contract, operation.key) if operation.key else ("", "")
        if bool(argument) == bool(operation.payload) and bool(key) == bool(operation.key):
            arguments = ", ".join(each for each in (key, argument) if each)
            call = f"await client.{operation.method}({arguments})"
            call = call if operation.result == "None" else f"print({call})"
            names = [contract.client, *example_classes(contract, arguments)]
            imports = f"{import_key}\nfrom {package} import {', '.join(names)}\n"
            return _program(imports, f"async with {connected}:\n        {call}")
    for event in contract.events:
        names = [contract.client, event.data, *([event.key] * (event.key not in {"", "str"}))]
        imports = (
            "\nfrom weenats import ReceivedEvent\n\n"
            f"from {package} import {', '.join(names)}\n\n\n"
            f"async def show(event: ReceivedEvent[{event.event_type}]) -> None:\n"
            "    print(event.data)\n"
        )
        subscribed = f"await client.{event.subscribe}(show)"
        body = f"async with {connected}, {subscribed}:\n        await asyncio.Event().wait()"
        return _program(imports, body)
    imports = f"\nfrom {package} import {contract.client}\n"
    return _program(imports, f"async with {connected}:\n        print(client.contract.version)")


def render_client_project(
    contract: Contract, distribution: str, package: str, example: str
) -> dict[str, str]:
    """Return the files of the project beside its package, by name.

    Args:
        contract: The contract.
        distribution: The name of the distribution.
        package: The name of the Python package.
        example: The program for the README.
    """
    header = f"{MARK}{source_of(contract)}. Do not edit."
    common = {"contract": contract, "distribution": distribution, "package": package}
    summary = " ".join(literals.printable(contract.description).split())[:_MAX_SUMMARY]
    pyproject = environment().get_template("client_project/pyproject.toml.jinja")
    readme = environment().get_template("client_project/README.md.jinja")
    return {
        "pyproject.toml": pyproject.render(
            common,
            header=header,
            version=python_version(contract.version),
            summary=summary,
            runtime=runtime_requirement(version_of("weenats")),
        ),
        "README.md": readme.render(
            common,
            header=header.removeprefix("# ").replace("--", "- -"),
            signatures=_signatures(contract),
            example=example,
        ),
    }


def python_version(version: str) -> str:
    """Return the version of a Python package for a semantic version.

    A pre-release whose label Python does not know becomes a development release that has the label
    as its local version: "1.0.0-nightly" -> "1.0.0.dev0+nightly".
    """
    match = _SEMVER.fullmatch(version)
    if match is None:  # pragma: no cover - `lint` refuses it
        raise ValueError(version)
    release, label, build = match.groups()
    local = [build] if build else []
    if label and _PRE_RELEASE.fullmatch(label.lower()):
        release += f"-{label}"
    elif label:
        release += ".dev0"
        local.insert(0, label)
    parts = [part for each in local for part in re.split("[.-]+", each.lower()) if part]
    return f"{release}+{'.'.join(parts)}" if parts else release


def runtime_requirement(version: str) -> str:
    """Return the versions of weenats that the code of one version works with."""
    major, minor = _RELEASE.findall(version)[0]
    limit = f"{int(major) + 1}" if int(major) else f"0.{int(minor) + 1}"
    return f"weenats>={version.partition('+')[0]},<{limit}"


def _program(imports: str, body: str) -> str:
    return (
        f"import asyncio\n{imports}\n\nasync def main() -> None:\n    {body}\n\n\n"
        "asyncio.run(main())\n"
    )


def _signatures(contract: Contract) -> dict[str, str]:
    """Return the signature of each operation's method, without options, by method."""
    return {
        operation.method: _signature(kind, operation)
        for kind, operations in (("command", contract.commands), ("query", contract.queries))
        for operation in operations
    }


def _signature(kind: str, operation: Operation) -> str:
    types = (("key", operation.key), (kind, operation.payload))
    parameters = ", ".join(f"{name}: {each}" for name, each in types if each)
    return f"{operation.method}({parameters}) -> {operation.result}"
