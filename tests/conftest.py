"""What all tests share: a real nats-server, the in-memory transport, the sample contract."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# How long an example takes is the machine's business, and that of coverage.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Where it is enough to know that a test fails, nobody waits for the simplest example.
settings.register_profile(
    "unexplained", phases=[Phase.explicit, Phase.generate], parent=settings.get_profile("unhurried")
)
settings.load_profile("unhurried")

pytest_plugins = ["weenats.testing.plugin"]

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def receipts_contract() -> Path:
    """The contract folder of the sample."""
    return REPOSITORY / "schemas" / "receipts"
