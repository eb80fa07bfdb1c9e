"""with_health(): validation of its options."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest

from testkit.probe import Probe
from weenats import CustomCheck, InvalidArgumentError, NatsServiceBuilder


def builder() -> NatsServiceBuilder:
    """Return a builder without a connection."""
    return NatsServiceBuilder(Probe())


def make_check(name: Any = "store", check: Any = bool, **more: Any) -> Any:
    """Return an entry of custom_checks."""
    return {"name": name, "check": check, **more}


@pytest.mark.parametrize("name", ["store", "s", "a-b_c9", "x" * 200])
def test_valid_check_names_are_accepted(name: str) -> None:
    """A name has lower-case letters, digits, dashes and underscores."""
    assert builder().with_health(custom_checks=[make_check(name)])


@pytest.mark.parametrize(
    "name", ["", "Store", "9a", "-a", "_a", "a b", "a\n", "a.b", "ä", None, 5, b"a", "jwks"]
)
def test_invalid_check_names_are_rejected(name: Any) -> None:
    """Other names and the name of the built-in check are rejected."""
    with pytest.raises(ValueError, match=r"a name in custom_checks|built-in check"):
        builder().with_health(custom_checks=[make_check(name)])


@pytest.mark.parametrize(
    "duration", [0, -1, float("nan"), float("inf"), "5", None, True, timedelta(0)]
)
def test_invalid_durations_are_rejected(duration: Any) -> None:
    """The interval and timeout must be positive, and the error names the option."""
    with pytest.raises(InvalidArgumentError, match="interval must be"):
        builder().with_health(interval=duration)
    with pytest.raises(InvalidArgumentError, match="timeout must be"):
        builder().with_health(timeout=duration)


@pytest.mark.parametrize(
    ("checks", "error", "told"),
    [
        ([make_check(), make_check()], ValueError, "have the name store twice"),
        ([make_check(check=5)], TypeError, "the check store is not callable"),
        (
            [make_check(timeout=3)],
            ValueError,
            "has the members name, check; this one has name, check",
        ),
        ([{"name": "store"}], ValueError, "this one has name"),
        ([{}], ValueError, "this one has none"),
        ([("store", bool)], TypeError, "each of custom_checks is a dictionary, not tuple"),
        ({"store": bool}, TypeError, "custom_checks are a list of dictionaries, not dict"),
        ("store", TypeError, "a list of dictionaries, not str"),
        (None, TypeError, "a list of dictionaries, not NoneType"),
    ],
)
def test_invalid_checks_are_rejected(checks: Any, error: type[Exception], told: str) -> None:
    """The error says what is wrong with the checks."""
    with pytest.raises(error, match=told):
        builder().with_health(custom_checks=checks)


def test_enabled_must_be_a_bool() -> None:
    """The string 'no' is not accepted as True."""
    with pytest.raises(TypeError, match="enabled is True or False, not 'no'"):
        builder().with_health("no")  # type: ignore[arg-type]


def test_with_health_can_be_called_once() -> None:
    """A second call is rejected, and the original builder is unchanged."""
    first = builder()
    second = first.with_health(enabled=False)
    with pytest.raises(ValueError, match=r"with_health\(\) was already called"):
        second.with_health()
    assert first.with_health()


def test_custom_checks_are_copied() -> None:
    """Later changes of the list and its dictionaries have no effect."""
    entry: CustomCheck = {"name": "store", "check": bool}
    entries = [entry]
    built = builder().with_health(custom_checks=entries)
    entry["name"] = "Other Name"
    entries.clear()
    settings = built._settings.health
    assert settings is not None
    assert [each["name"] for each in settings.checks] == ["store"]


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:1", "localhost:0", "pod-1.local:65535"])
def test_valid_addresses_are_accepted(address: str) -> None:
    """`http` is host and port; an IPv6 address stands in brackets."""
    assert builder().with_health(http=address)


@pytest.mark.parametrize(
    "address",
    ["", "8080", ":8080", "host", "host:", "host:65536", "host:-1", "::1:80", "h:80\n", "a b:80"],
)
def test_invalid_addresses_are_rejected(address: str) -> None:
    """Anything else is rejected where it is written."""
    with pytest.raises(ValueError, match=r'http is host and port, such as "0\.0\.0\.0:8080", not'):
        builder().with_health(http=address)
    with pytest.raises(TypeError, match="http is host and port as text, not int"):
        builder().with_health(http=8080)  # type: ignore[arg-type]


def test_missing_aiohttp_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder names the extra to install; without `http` nothing is needed."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r"http needs aiohttp: pip install 'weenats\[http\]'"):
        builder().with_health(http="0.0.0.0:8080")
    assert builder().with_health()
