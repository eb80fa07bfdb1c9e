"""What all tests share: a real nats-server, the in-memory transport, the sample contract."""

from pathlib import Path

import pytest

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
