"""Health: whether an instance is well, beside whether it serves."""

from weenats.service.health.checks import HealthChecks
from weenats.service.health.settings import JWKS, CustomCheck, HealthSettings

__all__ = ["JWKS", "CustomCheck", "HealthChecks", "HealthSettings"]
