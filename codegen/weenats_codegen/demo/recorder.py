"""The steps of the demo, as JSON."""

from collections.abc import Sequence

from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol.messages import EndpointStats


class Recorder:
    """Records the steps of the demo; a subclass may show them instead.

    Attributes:
        steps: The steps, as JSON.
    """

    def __init__(self) -> None:
        """Initialize a recorder without steps."""
        self.steps: list[dict[str, object]] = []

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.steps.append({"chapter": title})

    def note(self, text: str) -> None:
        """Add a fact."""
        self.steps.append({"note": text})

    def files(self, names: Sequence[str]) -> None:
        """Add files that were written."""
        self.steps.append({"files": list(names)})

    def reply(self, call: str, result: Model, milliseconds: float) -> None:
        """Add a call and its result."""
        data = result.model_dump(mode="json", by_alias=True)
        self.steps.append({"call": call, "reply": data, "milliseconds": round(milliseconds, 3)})

    def caught(self, call: str, error: ServiceError, milliseconds: float) -> None:
        """Add a call and the error that was caught by its class."""
        facts = {"class": type(error).__name__, "code": error.code.value, "message": error.message}
        self.steps.append({"call": call, "caught": facts, "milliseconds": round(milliseconds, 3)})

    def event(self, name: str, key: str, revision: int | None, data: Model) -> None:
        """Add an event that was received."""
        facts = {"name": name, "key": key, "revision": revision}
        dump = data.model_dump(mode="json", by_alias=True)
        self.steps.append({"event": {**facts, "data": dump}})

    def statistics(self, endpoints: Sequence[EndpointStats]) -> None:
        """Add the statistics of the service."""
        counted = [each.model_dump(mode="json", by_alias=True) for each in endpoints]
        self.steps.append({"statistics": counted})
