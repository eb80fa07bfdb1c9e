"""Health checks of a running instance."""

from weenats.service.health.checks import HealthChecks
from weenats.service.health.readiness import readiness
from weenats.service.health.settings import JWKS, CustomCheck, HealthSettings

__all__ = ["JWKS", "CustomCheck", "HealthChecks", "HealthSettings", "readiness"]
