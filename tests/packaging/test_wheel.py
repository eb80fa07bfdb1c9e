"""The built wheel: its contents, and that it works without the checkout."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from receipts.handlers import Receipts
from testkit.documents import DOCUMENTS
from testkit.processes import without_coverage
from testkit.shared_folders import shared_folder
from weenats import NatsServiceBuilder
from weenats_codegen.generate import generate_client

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(300)]

PROBE = """
import importlib, json, pkgutil, sys, weenats
for module in pkgutil.walk_packages(weenats.__path__, "weenats."):
    # The ones for pytest, and for those who have the SDK of OpenTelemetry or other extras.
    with_sdk = tuple(f"weenats.telemetry.{name}" for name in ("late_span", "otlp", "sdk_histogram"))
    with_others = ("weenats.service.health.http", "weenats.settings")
    if module.name not in ("weenats.testing.plugin", *with_sdk, *with_others):
        importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
SERVE_AND_CALL = """
import asyncio, json, sys
from receipts import AddItem, ItemAdded, ItemNotFoundError, ReceiptsClient, RemoveItem
from receipts.handlers import Receipts
from weenats import NatsServiceBuilder, ReceivedEvent

async def main(url: str) -> dict[str, object]:
    told = asyncio.Event()

    async def note(event: ReceivedEvent[ItemAdded]) -> None:
        told.set()

    builder = NatsServiceBuilder(Receipts(), url).with_telemetry().with_rate_limit(100)
    builder = builder.with_circuit_breaker().with_health().with_monitoring()
    async with builder.build(), ReceiptsClient.connect(url) as plain:
        receipts = plain.with_telemetry()
        async with await receipts.subscribe_item_added(note):
            receipt = await receipts.add_item("r-1", AddItem(name="Coffee", price=4.5, quantity=2))
            await asyncio.wait_for(told.wait(), 30)
        try:
            await receipts.remove_item("r-1", RemoveItem(name="Tea"))
        except ItemNotFoundError as error:
            missing = error.details.name
    return {"total": receipt.total, "missing": missing}

print(json.dumps(asyncio.run(main(sys.argv[1]))))
"""
CALL_WITH_CLIENT = """
import asyncio, json, sys
import acme_receipts
from acme_receipts import AddItem, ItemNotFoundError, Receipt, ReceiptsClient, RemoveItem

async def main(url: str) -> dict[str, object]:
    async with ReceiptsClient.connect(url) as receipts:
        receipt: Receipt = await receipts.add_item("r-1", AddItem(name="Tea", price=3, quantity=2))
        try:
            await receipts.remove_item("r-1", RemoveItem(name="Coffee"))
        except ItemNotFoundError as error:
            missing = error.details.name
    served = [name for name in acme_receipts.__all__ if name.endswith("Handlers")]
    return {"total": receipt.total, "missing": missing, "served": served}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
"""
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps([each.name for each in distributions()]))
"""
NOT_IN_BASE = {
    "jinja2",
    "datamodel_code_generator",
    "ruff",
    "yaml",
    "jsonschema",
    "typer",
    "rich",
    "aiohttp",
    "pydantic_settings",
}


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    options = ("--no-deps", "--no-build-isolation", str(repository), "--wheel-dir")
    folder = shared_folder(tmp_path_factory, "wheel", lambda new: pip("wheel", *options, str(new)))
    (built,) = folder.glob("weenats-*.whl")
    return built


def pip(*arguments: str) -> None:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command, env=without_coverage(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def environment(folder: Path) -> Path:
    """Create a virtual environment; return its interpreter."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, env=without_coverage(), check=True)
    return folder / "bin" / "python"


def install(folder: Path, *arguments: str) -> Path:
    """Create a virtual environment with what pip installs; return its interpreter."""
    python = environment(folder)
    pip("--python", str(python), "install", "--no-compile", *arguments)
    return python


def site_packages(folder: Path) -> Path:
    """Return where a virtual environment has its packages."""
    (site,) = (folder / "lib").glob("python*/site-packages")
    return site


def add_path(folder: Path, packages: Path) -> None:
    """Let a virtual environment import the packages of another one too."""
    (site_packages(folder) / "dependencies.pth").write_text(f"{packages}\n")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program outside the checkout."""
    return subprocess.run(
        list(command), cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def test_wheel_contains_two_packages(wheel: Path, repository: Path) -> None:
    """Runtime and generator with templates, resources and py.typed; no sample, no tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        shipped = archive.read("weenats_codegen/resources/service.schema.json")
        handlers = archive.read("weenats_codegen/resources/handlers.py")
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"weenats", "weenats_codegen"}
    assert {"weenats/py.typed", "weenats_codegen/py.typed"} <= names
    templates = (repository / "codegen/weenats_codegen/render/templates").rglob("*.jinja")
    expected = {path.relative_to(repository / "codegen").as_posix() for path in templates}
    assert expected
    assert expected <= names
    assert shipped == (repository / "schemas/service.schema.json").read_bytes()
    assert handlers == (repository / "generated/receipts/handlers.py").read_bytes()
    guides = {f"weenats_codegen/resources/guides/{each}" for each in DOCUMENTS}
    assert guides <= names
    assert "weenats_codegen/resources/guides/runtime/docs/llms.txt" in names


def test_guides_open_from_the_wheel(cli: Path, tmp_path: Path) -> None:
    """With `cli` alone, in an empty environment, `weenats docs --self` writes its guides."""
    done = subprocess.run(
        [cli / "bin/weenats", "docs", "--self", "--json"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["llms"]).is_relative_to(cli)
    page = Path(found["page"])
    assert page.is_relative_to(tmp_path)
    assert all(f'<article id="{each}">' in page.read_text() for each in DOCUMENTS)


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its dependencies."""
    folder = shared_folder(tmp_path_factory, "base", lambda new: install(new, str(wheel)))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the extra `cli`."""
    return shared_folder(tmp_path_factory, "cli", lambda new: install(new, f"{wheel}[cli]"))


def test_base_install_is_the_runtime(base: Path, tmp_path: Path) -> None:
    """Without extras all modules of the runtime import, and none of the generator's."""
    done = run(base, "-W", "error", "-c", PROBE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert not loaded & (NOT_IN_BASE | {"weenats_codegen"})
    missing = run(base.with_name("weenats"), "--help", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr == "weenats: this needs the extra `cli`: pip install 'weenats[cli]'\n"


def test_base_install_excludes_extras(base: Path, tmp_path: Path) -> None:
    """No package that only an extra requires is installed."""
    done = run(base, "-c", INSTALLED, cwd=tmp_path)
    installed = {canonicalize_name(name) for name in json.loads(done.stdout)}
    needed, extra = set[str](), set[str]()
    for each in map(Requirement, requires("weenats") or ()):
        (extra if "extra" in str(each.marker) else needed).add(canonicalize_name(each.name))
    assert needed | {"weenats"} <= installed
    assert "opentelemetry-sdk" in extra
    assert not (extra - needed - {"weenats"}) & installed


def test_base_install_serves_and_calls(
    base: Path, repository: Path, nats_url: str, tmp_path: Path
) -> None:
    """The runtime alone runs a generated package: commands, errors, events, all features."""
    for package in ("receipts", "shop"):
        shutil.copytree(
            repository / "generated" / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    (tmp_path / "program.py").write_text(SERVE_AND_CALL)
    done = run(base, "-W", "error", "program.py", nats_url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": 9.0, "missing": "Tea"}
    assert not done.stderr


async def test_client_package_is_enough_to_call(
    base: Path, repository: Path, nats_url: str, tmp_path: Path
) -> None:
    """The wheel of a client project, added to the base install: typed, calls, has no handlers."""
    project = tmp_path / "project"
    generate_client(repository / "schemas/receipts", project, "acme-receipts")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(project))
    client = tmp_path / "acme_receipts-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(client) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"py.typed", "client.py"} <= names
    assert not {"handlers.py", "app.py", "service.py"} & names
    python = environment(tmp_path / "venv")
    add_path(tmp_path / "venv", site_packages(base.parents[1]))
    # All that the project needs must be there already.
    pip("--python", str(python), "install", "--no-compile", "--no-index", str(client))
    program = tmp_path / "program.py"
    program.write_text(CALL_WITH_CLIENT)
    async with NatsServiceBuilder(Receipts(), nats_url).build():
        done = await asyncio.to_thread(
            run, python, "-W", "error", program.name, nats_url, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": 6.0, "missing": "Coffee", "served": []}
    checked = run(
        Path(sys.executable).with_name("mypy"),
        *("--strict", "--python-executable", str(python), "--cache-dir", os.devnull, program.name),
        cwd=tmp_path,
    )
    assert checked.returncode == 0, checked.stdout


def test_cli_extra_runs_and_calls_services(cli: Path, tmp_path: Path) -> None:
    """With `cli` services run and are called; generator commands name their own extra."""
    weenats = cli / "bin/weenats"
    nobody = run(weenats, "services", "--servers", "nats://127.0.0.1:1", cwd=tmp_path)
    assert nobody.stderr.startswith("weenats: UNAVAILABLE")
    nothing = run(weenats, "run", "json:dumps", cwd=tmp_path)
    assert nothing.stderr.startswith("weenats: json:dumps must be handlers, a NatsService")
    for verb in (["new", "orders"], ["generate"], ["check"], ["demo"]):
        refused = run(weenats, *verb, cwd=tmp_path)
        assert refused.returncode == 1
        assert "this needs the extra `codegen`: pip install 'weenats[codegen]'" in refused.stderr


def test_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """`weenats demo` needs no checkout: all its files are in the wheel."""
    python = install(tmp_path / "venv", "--no-deps", str(wheel))
    # The dependencies are those of this environment; as a plain path, its editable weenats is not.
    add_path(tmp_path / "venv", Path(sysconfig.get_path("purelib")))
    place = run(python, "-c", "import weenats_codegen as w; print(w.__file__)", cwd=tmp_path)
    assert place.stdout.startswith(str(tmp_path)), place.stderr
    done = run(tmp_path / "venv/bin/weenats", "demo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert any("statistics" in step for step in json.loads(done.stdout))
