"""Settings and fixtures of all tests: signals, Hypothesis profiles, a nats-server, the sample."""

import gc
import os
import sys
from collections.abc import Generator
from functools import lru_cache
from multiprocessing import forkserver
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, settings

from testkit.chromium import Browser
from testkit.discovery import ExpectAnswers, expecting_answers
from testkit.paths import REPOSITORY
from testkit.processes import restore_interrupts
from testkit.server_files import finish_removals
from testkit.waiting import LIMIT
from weenats import ConnectionOptions
from weenats._internal.limited_log import LimitedLogger

# How long an example takes depends on the machine, and on coverage.
settings.register_profile(
    "quick", deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=100)
# For tests that run a thousand times, and whose failing example nobody reads.
settings.register_profile(
    "mutation",
    parent=settings.get_profile("quick"),
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("quick")

pytest_plugins = ["weenats.testing.plugin", "testkit.failed_tests"]

collect_ignore = ["codegen/golden"]  # the contract tests there belong to packages that do nothing


def pytest_configure(config: pytest.Config) -> None:
    """Let tests interrupt processes that they start, wherever pytest was started.

    Processes that run tests side by side look for garbage a tenth as often: there are many objects,
    such as the classes of generated models. Their nats-servers use one processor each, which takes
    a seventh less time than waking threads for one another. Tests that measure run in other
    processes.
    """
    restore_interrupts()
    # A busy machine may need longer than usual. Tests of this limit set it.
    ConnectionOptions.__init__.__kwdefaults__["connect_timeout"] = LIMIT
    if hasattr(config, "workerinput"):
        young, middle, old = gc.get_threshold()
        gc.set_threshold(10 * young, middle, old)
        os.environ["GOMAXPROCS"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not look for garbage among modules and tests: they are many, and stay.

    The process that tests fork imports for seconds, on a busy machine for minutes: it begins now,
    not in the first test that needs it, whose time is limited.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        if "testkit.forks" in sys.modules:
            forkserver.ensure_running()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread files whose tests wait among those that compute, when processes run side by side."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: crc32(item.location[0].encode()))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser]:
    """A browser for the tests of a module."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(autouse=True)
def fresh_log_limits() -> None:
    """Log records that earlier tests caused do not count towards the limits of this one."""
    for log in _limited_loggers(len(sys.modules)):
        log._kinds.clear()


@pytest.fixture(autouse=True)
def removed_streams(request: pytest.FixtureRequest) -> Generator[None]:
    """Streams that a test has deleted on the shared server are gone when the next test begins."""
    yield
    if "nats_server" in request.fixturenames:
        finish_removals(request.getfixturevalue("nats_server"))


@lru_cache(maxsize=1)
def _limited_loggers(modules: int) -> list[LimitedLogger]:
    """Return those of all modules; the number of modules says when to look again."""
    del modules
    logs = [
        vars(module).get("_LOG")
        for name, module in list(sys.modules.items())
        if name.startswith("weenats.")
    ]
    return [log for log in logs if isinstance(log, LimitedLogger)]


@pytest.fixture
def expect_answers(monkeypatch: pytest.MonkeyPatch) -> ExpectAnswers:
    """Function after whose call listings of this process end with so many answers."""
    return expecting_answers(monkeypatch)


@pytest.fixture
def single_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings end with the first instance that answers."""
    monkeypatch.setattr("weenats.discovery._QUIET", 0.001)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def receipts_contract() -> Path:
    """The contract folder of the sample."""
    return REPOSITORY / "schemas" / "receipts"
