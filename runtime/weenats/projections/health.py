"""The health of a projection in this instance: a check of the service that runs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeGuard

from weenats.admission.scope import SCOPE
from weenats.errors import DeadlineExceededError, ServiceError, UnavailableError
from weenats.projections.bucket import UnusableBucketError
from weenats.projections.follower import is_of_handler
from weenats.projections.lease import LeaseLostError
from weenats.protocol.messages import HealthCheckEntry
from weenats.transport.jetstream import (
    JetStreamUnavailableError,
    StreamMissingError,
    StreamReplacedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ProjectionHealth"]
_NO_EVENTS: Final = (
    LeaseLostError,
    JetStreamUnavailableError,
    StreamMissingError,
    StreamReplacedError,
    UnusableBucketError,
)
"""With these errors the view gets no events, also where its methods raise them in a handler."""
_NO_NATS: Final = "NATS cannot be reached"
"""What the health has in place of the text of an error that names servers."""


def _gets_no_events(error: BaseException) -> TypeGuard[ServiceError]:
    """Return whether it is the connection that fails, not a call of a handler."""
    if isinstance(error, _NO_EVENTS):
        return True
    is_away = isinstance(error, UnavailableError | DeadlineExceededError) and error.of_connection
    return is_away and not is_of_handler(error)


class ProjectionHealth:
    """Knows the last failure of a projection in this instance.

    Args:
        name: the name of the projection.
    """

    def __init__(self, name: str) -> None:
        self._name: Final = f"projection {name}"
        self._error: BaseException | None = None

    def failed(self, error: BaseException) -> bool:
        """Remember a failure.

        Args:
            error: what a handler, the view or the connection raised.

        Returns:
            Whether the view gets no events: their stream does not exist, cannot be reached, or is
            another one than the one whose events the view has; or its bucket cannot be used.
        """
        self._error = error
        return _gets_no_events(error)

    def succeeded(self) -> None:
        """Forget the last failure."""
        self._error = None

    def check(self) -> HealthCheckEntry:
        """Return its health: an error when the view gets no events, else what stops it."""
        error = self._error
        if error is not None and _gets_no_events(error):
            text = error.message if isinstance(error, _NO_EVENTS) else _NO_NATS
            return HealthCheckEntry(name=self._name, status="error", message=text)
        why = None if error is None else f"stopped by {type(error).__name__}; see the log"
        return HealthCheckEntry(name=self._name, status="ok", message=why)

    @contextmanager
    def shown(self) -> Generator[None]:
        """Make it a check of the service whose lifespan is running, if there is one."""
        scope = SCOPE.get()
        if scope is not None:
            scope.add(self, self.check)
        try:
            yield
        finally:
            if scope is not None:
                scope.discard(self)

    async def end(self, timeout: float) -> None:
        """Do nothing: the projection ends with the lifespan.

        Args:
            timeout: how long it may take, in seconds.
        """

    def abort(self) -> None:
        """Do nothing: the projection ends with the lifespan."""
