"""Observability: spans, trace propagation and metrics with OpenTelemetry.

The runtime needs only the OpenTelemetry API. Spans and metrics go to the application's providers,
or to providers of a service's own that export them.
"""

from weenats.telemetry.manager import TelemetryManager
from weenats.telemetry.settings import Sampling, TelemetrySettings

__all__ = ["Sampling", "TelemetryManager", "TelemetrySettings"]
