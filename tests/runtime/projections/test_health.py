"""The check of a projection: which failures keep it from its events, and how long it is shown."""

from __future__ import annotations

import pytest

from weenats import DeadlineExceededError, NotFoundError, UnavailableError
from weenats.admission.scope import Scope
from weenats.errors import connection_error
from weenats.projections.bucket import UnusableBucketError
from weenats.projections.health import ProjectionHealth
from weenats.projections.lease import LeaseLostError
from weenats.transport.jetstream import (
    JetStreamUnavailableError,
    StreamMissingError,
    StreamReplacedError,
)


@pytest.mark.parametrize(
    "kind",
    [
        LeaseLostError,
        JetStreamUnavailableError,
        StreamMissingError,
        StreamReplacedError,
        UnusableBucketError,
    ],
)
def test_view_that_gets_no_events(kind: type[UnavailableError]) -> None:
    """It is an error with the text of the failure, until there are events again."""
    health = ProjectionHealth("p")
    assert health.failed(kind("why"))
    found = health.check()
    assert (found.name, found.status, found.message) == ("projection p", "error", "why")
    health.succeeded()
    assert (health.check().status, health.check().message) == ("ok", None)


@pytest.mark.parametrize("kind", [UnavailableError, DeadlineExceededError])
def test_connection_that_fails(kind: type[UnavailableError]) -> None:
    """Its error is one of the projection, without its text, which may name servers."""
    health = ProjectionHealth("p")
    assert health.failed(connection_error(kind, "nats://hidden is away"))
    assert (health.check().status, health.check().message) == ("error", "NATS cannot be reached")


@pytest.mark.parametrize(
    "error",
    [UnavailableError("x"), connection_error(NotFoundError, "x"), KeyError("x")],
    ids=["of another service", "of the connection, which works", "of a handler"],
)
def test_failure_that_is_not_of_the_connection(error: Exception) -> None:
    """The projection is ok, with the class of the error alone."""
    health = ProjectionHealth("p")
    assert not health.failed(error)
    message = f"stopped by {type(error).__name__}; see the log"
    assert (health.check().status, health.check().message) == ("ok", message)


def test_check_ends_with_the_projection() -> None:
    """A projection that ends before its service is no check of it any more."""
    scope = Scope()

    def shown() -> list[str]:
        with ProjectionHealth("p").shown():
            return [each.name for each in scope.health_checks()]

    assert scope.variables.run(shown) == ["projection p"]
    assert scope.health_checks() == []
