"""Validation and defaults of the telemetry settings."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient
from weenats import NatsServiceBuilder, TelemetrySettings
from weenats.telemetry.manager import SILENT
from weenats.testing import MemoryTransport


@pytest.mark.parametrize(
    "settings",
    [
        {"sampling": {"commands": -0.1}},
        {"sampling": {"commands": 1.1}},
        {"sampling": {"queries": float("nan")}},
        {"sampling": {"events": True}},
        {"sampling": {"events": "1"}},
        {"sampling": {"event": 1}},
        {"environment": ""},
        {"environment": 5},
        {"exporter_url": 5},
        {"environment": "x" * 256},
        {"environment": "a\nb"},
        {"exporter_url": "localhost:4318"},
        {"exporter_url": "ftp://localhost"},
        {"exporter_url": "http://"},
        {"exporter_url": "http://[::1"},
        {"exporter_url": "http://host/?token=hunter2"},
        {"exporter_url": "http://host/#hunter2"},
        {"exporter_url": "http://hunter2@host:4318/v1/traces"},
        {"exporter_url": "http://host/otlp/v1/metrics/"},
        {"attributes": "most"},
        {"principal": "secret"},
    ],
)
def test_invalid_telemetry_settings_are_rejected(settings: dict[str, Any]) -> None:
    """Settings and builder reject them, and the error shows no part of a URL."""
    for give in (
        lambda: TelemetrySettings(**settings),
        lambda: NatsServiceBuilder(Probe()).with_telemetry(**settings),
    ):
        with pytest.raises(ValueError, match=r".") as refused:
            give()
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("named", ["%0A", "x" * 256, ""])
def test_invalid_environment_of_the_process_is_ignored(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable for all programs of a machine must not keep one of them from being imported."""
    value = f"deployment.environment.name={named},deployment.environment=stage"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", value)
    assert TelemetrySettings().environment == "stage"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"deployment.environment.name={named}")
    assert TelemetrySettings().environment == "development"


@pytest.mark.parametrize("sampling", [0, 0.5, "commands", ["commands"], ()])
def test_sampling_must_be_a_mapping(sampling: Any) -> None:
    """A single share, zero included, is a TypeError and not the default."""
    for give in (
        lambda: TelemetrySettings(sampling=sampling),
        lambda: NatsServiceBuilder(Probe()).with_telemetry(sampling=sampling),
    ):
        with pytest.raises(TypeError, match="sampling is a dictionary by commands, queries and"):
            give()


def test_missing_sampling_shares_have_defaults() -> None:
    """Single shares can be set, and the mapping is immutable."""
    given = {"queries": 0.25}
    settings = TelemetrySettings(sampling=given)
    given["queries"] = 1
    assert dict(settings.sampling) == {"commands": 1.0, "queries": 0.25, "events": 0.1}
    with pytest.raises(TypeError):
        settings.sampling["queries"] = 1  # type: ignore[index]
    assert settings == TelemetrySettings(sampling={"queries": 0.25})
    assert hash(settings) == hash(TelemetrySettings(sampling={"queries": 0.25}))


def test_client_rejects_exporter_url() -> None:
    """with_telemetry() of a client rejects an exporter_url."""
    settings = TelemetrySettings(exporter_url="http://localhost:4318")
    with pytest.raises(ValueError, match="exporter_url"):
        ProbeClient(MemoryTransport()).with_telemetry(settings)


@pytest.mark.parametrize("missing", ["opentelemetry.sdk", "opentelemetry.exporter"])
def test_missing_sdk_is_reported_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The error names the extra to install; without an exporter nothing is needed."""
    for name in [each for each in sys.modules if each.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    builder = NatsServiceBuilder(Probe())
    builder.with_telemetry()
    with pytest.raises(ImportError, match=r"weenats\[otel\]"):
        builder.with_telemetry(exporter_url="http://localhost:4318")


def test_derived_clients_share_telemetry() -> None:
    """with_telemetry() does not change the original client."""
    plain = ProbeClient(MemoryTransport())
    told = plain.with_telemetry()
    assert plain.telemetry is SILENT
    assert told.telemetry is not SILENT
    assert told.with_timeout(1).telemetry is told.telemetry
    assert told.with_telemetry().telemetry is not told.telemetry
