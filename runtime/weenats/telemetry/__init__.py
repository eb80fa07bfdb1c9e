"""Seeing what happens: spans, propagation and metrics with OpenTelemetry.

The runtime needs its API alone. Spans and metrics go to the application's provider, or to one of
the service's own that exports them.
"""

from weenats.telemetry.manager import TelemetryManager
from weenats.telemetry.settings import Sampling, TelemetrySettings

__all__ = ["Sampling", "TelemetryManager", "TelemetrySettings"]
