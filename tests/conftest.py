"""What all tests share: a real nats-server, the in-memory transport, the sample contract."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# How long an example takes is the machine's business, and that of coverage.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Where the same tests run a thousand times: fewer examples, and none is made simpler.
settings.register_profile(
    "brief",
    parent=settings.get_profile("unhurried"),
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
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
