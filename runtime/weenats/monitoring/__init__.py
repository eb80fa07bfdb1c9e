"""Monitoring: how an instance does, in snapshots and statistics."""

from weenats.monitoring.custom_metrics import CustomMetric
from weenats.monitoring.monitor import Monitor
from weenats.monitoring.settings import MonitoringSettings

__all__ = ["CustomMetric", "Monitor", "MonitoringSettings"]
