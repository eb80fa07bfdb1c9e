"""The comparison of two revisions, which CI uses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture
def revisions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, whose folder is not on the path of tests."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("report", "revisions"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__("revisions")


@pytest.fixture
def measured(revisions: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Function that checks with these costs of this revision, one for each measurement."""

    def check(*costs: float) -> list[float]:
        left = iter(costs)

        def compare(*_: object, **__: object) -> dict[str, tuple[float, float]]:
            return {"weenats": (10.0, next(left))}

        monkeypatch.setattr(revisions, "compare", compare)
        ratios: list[float] = revisions.check(Path())
        return ratios

    return check


def test_one_good_measurement_is_enough(measured: Callable[..., list[float]]) -> None:
    """It is slower only if three measurements in a row say so."""
    assert measured(12.9) == [1.29]
    assert measured(13.0, 20.0, 10.0) == [1.3, 2.0, 1.0]
    assert measured(13.0, 20.0, 13.5) == [1.3, 2.0, 1.35]


def test_least_costs_are_compared(
    revisions: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kinds of calls that both revisions have are compared, each by its least cost."""
    outputs = {
        tmp_path: iter([{"weenats": 3.0, "gone": 1.0}, {"weenats": 2.0, "gone": 1.0}]),
        revisions.ROOT: iter([{"weenats": 4.0}, {"weenats": 5.0, "new": 1.0}]),
    }
    monkeypatch.setattr(revisions, "costs", lambda folder, *_: next(outputs[folder]))
    compared = revisions.compare(tmp_path, "server", turns=2, rounds=1)
    assert compared == {"weenats": (2.0, 4.0)}
    assert revisions.table("server", compared).rows == [("weenats", 2.0, 4.0, 2.0)]


@pytest.mark.slow
def test_checkout_is_measured(revisions: ModuleType, repository: Path) -> None:
    """Another checkout is measured with its own programs, and removed afterwards."""
    git = shutil.which("git")
    if (
        not git
        or subprocess.run([git, "-C", repository, "rev-parse", "HEAD"], check=False).returncode
    ):
        pytest.skip("this is not a clone")
    with revisions.checkout("HEAD") as folder:
        assert revisions.costs(folder, "server", 1)["weenats"] > 0
        assert revisions.alone("client", 1).rows[0][2] == 1.0
        (folder / "tests" / "benchmarks" / "client_path.py").unlink()
        assert revisions.costs(folder, "client", 1) == {}
        (folder / "tests" / "benchmarks" / "server_path.py").write_text("1 / 0")
        with pytest.raises(SystemExit, match="ZeroDivisionError"):
            revisions.costs(folder, "server", 1)
    assert not folder.exists()
    with pytest.raises(SystemExit, match="no checkout of nothing: "), revisions.checkout("nothing"):
        pass
