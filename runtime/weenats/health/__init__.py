"""Health: whether an instance is well, beside whether it serves."""

from weenats.health.checks import HealthChecks
from weenats.health.settings import JWKS, CustomCheck, HealthSettings

__all__ = ["JWKS", "CustomCheck", "HealthChecks", "HealthSettings"]
