"""Packages whose exports are imported when they are used."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from typing import Any

import pytest

import weenats
import weenats.client
import weenats.events
import weenats.service
from testkit.processes import python_environment, without_coverage

PACKAGES = [weenats, weenats.client, weenats.events, weenats.service]
CLIENTS_NEED_NOT = {
    *("aiobreaker", "aiolimiter", "cryptography", "jwt", "jsonschema_rs", "opentelemetry.metrics"),
    *("opentelemetry.sdk", "opentelemetry.trace.propagation.tracecontext", "rich", "typer"),
    *("weenats.admission.controller", "weenats.schema.compiler"),
    *("weenats.auth", "weenats.circuit_breaker", "weenats.rate_limit", "weenats.logging"),
    *("weenats.service.builder", "weenats.service.instance", "weenats.testing", "weenats_codegen"),
}


def program(code: str) -> Any:
    """Return what a program prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_lazy_exports_are_those_of_type_checkers(package: Any) -> None:
    """Type checkers see the same names, from the same modules, and so does `__all__`."""
    tree = ast.parse(inspect.getsource(package))
    (branch,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        name.name: node.module
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    (homes,) = [node for node in ast.walk(branch.orelse[0]) if isinstance(node, ast.Dict)]
    lazy = {
        name: module for module, names in ast.literal_eval(homes).items() for name in names.split()
    }
    assert lazy == seen
    assert set(package.__all__) <= {*seen, *vars(package)}
    for name, module in seen.items():
        assert getattr(package, name) is getattr(importlib.import_module(module or ""), name)
        assert name in dir(package)


def test_modules_are_attributes() -> None:
    """A module of a package is its attribute, and is imported when it is used; others are not."""
    code = (
        "import json, weenats; imported = weenats.auth.__name__; "
        "print(json.dumps([imported, hasattr(weenats, 'nothing'), 'auth' in dir(weenats)]))"
    )
    assert program(code) == ["weenats.auth", False, True]


def test_clients_import_no_parts_of_services() -> None:
    """A generated package imports nothing that only services, commands or tests need."""
    code = "import json, sys, receipts; print(json.dumps([*sys.modules]))"
    assert CLIENTS_NEED_NOT.isdisjoint(program(code))


RATIO = """
import json, resource, subprocess, sys
def cost(code):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
model = "class Model(BaseModel):\\n    number: int = Field(gt=0)"
ours = "from receipts import AddItem, Receipt, ReceiptsClient"
codes = [f"import nats; from pydantic import BaseModel, Field\\n{model}", ours]
limit, least, most = json.loads(sys.argv[1])
for code in codes:
    cost(code)  # writes what is compiled
taken = []
while len(taken) < most:
    taken.append([cost(code) for code in codes])
    base, ours = map(min, zip(*taken))
    if len(taken) >= least and ours <= limit * base:
        break
print(json.dumps(ours / base))
"""
"""Prints the CPU time of an import, as a multiple of that of nats-py and a model of pydantic.

Of interleaved runs the shortest counts: others only waited for the machine.
"""


@pytest.mark.timing
@pytest.mark.timeout(300)
def test_import_takes_little_more_than_its_libraries() -> None:
    """A generated package takes at most 1.45 times what nats-py and pydantic alone take."""
    environment = without_coverage(PYTHONPATH=os.pathsep.join(sys.path))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", RATIO, "[1.45, 5, 20]"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1.45
