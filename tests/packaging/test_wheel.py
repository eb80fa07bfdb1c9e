"""The built wheel: what is in it, and that it works where no checkout is."""

import json
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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROBE = """
import importlib, json, pkgutil, sys, weenats
for module in pkgutil.walk_packages(weenats.__path__, "weenats."):
    # The ones that are for pytest, and for those who have the SDK of OpenTelemetry.
    with_sdk = ("weenats.telemetry.late_span", "weenats.telemetry.otlp")
    if module.name not in ("weenats.testing.plugin", *with_sdk):
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
            await asyncio.wait_for(told.wait(), 10)
        try:
            await receipts.remove_item("r-1", RemoveItem(name="Tea"))
        except ItemNotFoundError as error:
            missing = error.details.name
    return {"total": receipt.total, "missing": missing}

print(json.dumps(asyncio.run(main(sys.argv[1]))))
"""
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps([each.name for each in distributions()]))
"""
NOT_IN_BASE = {"jinja2", "datamodel_code_generator", "ruff", "yaml", "jsonschema", "typer", "rich"}


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(repository))
    (built,) = folder.glob("weenats-*.whl")
    return built


def pip(*arguments: str) -> None:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def environment(folder: Path) -> Path:
    """Make a virtual environment; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program far from the checkout."""
    return subprocess.run(
        list(command), cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_wheel_holds_two_packages(wheel: Path, repository: Path) -> None:
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


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, and what it requires."""
    python = environment(tmp_path_factory.mktemp("base") / "venv")
    pip("--python", str(python), "install", str(wheel))
    return python


def test_the_base_install_is_the_runtime(base: Path, tmp_path: Path) -> None:
    """Without extras every module of the runtime imports, and none of the generator's parts."""
    done = run(base, "-W", "error", "-c", PROBE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert not loaded & (NOT_IN_BASE | {"weenats_codegen"})
    missing = run(base.with_name("weenats"), "--help", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr == "weenats: this needs the extra `cli`: pip install 'weenats[cli]'\n"


def test_the_base_install_holds_nothing_of_the_extras(base: Path, tmp_path: Path) -> None:
    """Neither by its own requirements nor by theirs."""
    done = run(base, "-c", INSTALLED, cwd=tmp_path)
    installed = {canonicalize_name(name) for name in json.loads(done.stdout)}
    needed, extra = set[str](), set[str]()
    for each in map(Requirement, requires("weenats") or ()):
        (extra if "extra" in str(each.marker) else needed).add(canonicalize_name(each.name))
    assert needed | {"weenats"} <= installed
    assert "opentelemetry-sdk" in extra
    assert not (extra - needed - {"weenats"}) & installed


def test_the_base_install_serves_and_calls(
    base: Path, repository: Path, nats_url: str, tmp_path: Path
) -> None:
    """A generated package and the runtime alone: commands, errors and events, all features on."""
    shutil.copytree(
        repository / "generated/receipts",
        tmp_path / "receipts",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (tmp_path / "program.py").write_text(SERVE_AND_CALL)
    done = run(base, "-W", "error", "program.py", nats_url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": 9.0, "missing": "Tea"}
    assert not done.stderr


def test_the_cli_extra_is_enough_to_run_and_call(wheel: Path, tmp_path: Path) -> None:
    """With `cli` alone services are served and called; what generates names its own extra."""
    python = environment(tmp_path / "venv")
    pip("--python", str(python), "install", f"{wheel}[cli]")
    weenats = tmp_path / "venv/bin/weenats"
    nobody = run(weenats, "services", "--servers", "nats://127.0.0.1:1", cwd=tmp_path)
    assert nobody.stderr.startswith("weenats: UNAVAILABLE")
    nothing = run(weenats, "run", "json:dumps", cwd=tmp_path)
    assert nothing.stderr.startswith("weenats: json:dumps is neither handlers nor")
    for verb in (["new", "orders"], ["generate"], ["check"], ["demo"]):
        refused = run(weenats, *verb, cwd=tmp_path)
        assert refused.returncode == 1
        assert "this needs the extra `codegen`: pip install 'weenats[codegen]'" in refused.stderr


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """`weenats demo` needs no checkout: what it compiles and serves is in the wheel."""
    python = environment(tmp_path / "venv")
    pip("--python", str(python), "install", "--no-deps", str(wheel))
    # The dependencies are those of this environment; as a plain path, its editable weenats is not.
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    place = run(python, "-c", "import weenats_codegen as w; print(w.__file__)", cwd=tmp_path)
    assert place.stdout.startswith(str(tmp_path)), place.stderr
    done = run(tmp_path / "venv/bin/weenats", "demo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert any("statistics" in step for step in json.loads(done.stdout))
