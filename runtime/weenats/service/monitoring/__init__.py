"""Monitoring of a running instance: snapshots, request statistics and custom metrics."""

from weenats.service.monitoring.custom_metrics import CustomMetric
from weenats.service.monitoring.monitor import Monitor
from weenats.service.monitoring.settings import MonitoringSettings

__all__ = ["CustomMetric", "Monitor", "MonitoringSettings"]
