"""The probe: a service for tests, whose command runs actions that a test sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import NoneType
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field
from typing_extensions import Unpack

from weenats import (
    Aggregate,
    CallOptions,
    Command,
    Endpoint,
    Entity,
    Event,
    EventHandler,
    EventSubscription,
    FailedPreconditionError,
    Model,
    NotFoundError,
    PublishOptions,
    Query,
    RequestContext,
    ServiceClient,
    ServiceContract,
    ServiceHandlers,
    ServiceSyncClient,
    SubscribeOptions,
    SyncEventHandler,
    SyncEventSubscription,
)
from weenats.events import publish, subscribe, subscribe_sync
from weenats.model import OMIT_NONE


class Run(Model):
    """The payload of the command."""

    action: Annotated[str, Field(min_length=1)]
    amount: Annotated[float | None, Field(ge=0), OMIT_NONE] = None
    retry_count: Annotated[int | None, Field(alias="retryCount"), OMIT_NONE] = None


class Outcome(Model):
    """The result of the command."""

    text: str


class FindParameters(Model):
    """The parameters of the query."""

    pattern: str


class Thing(Model):
    """The state of the aggregate."""

    text: str


class Happened(Model):
    """The data of the event."""

    text: Annotated[str, Field(alias="whatText")]


class MissingDetails(Model):
    """The details of the declared error."""

    part: str


class PartMissingError(NotFoundError):
    """A declared error with details."""

    name: ClassVar[str] = "part-missing"
    description: ClassVar[str] = "A part is missing."
    details_type = MissingDetails
    details: MissingDetails

    def __init__(self, message: str | None = None, *, details: MissingDetails) -> None:
        super().__init__(message, details=details)


class NotReadyError(FailedPreconditionError):
    """A declared error without details."""

    name: ClassVar[str] = "not-ready"
    description: ClassVar[str] = "It is not ready."


class UndeclaredError(NotFoundError):
    """An error of another contract."""

    name: ClassVar[str] = "undeclared"


class OddError(NotFoundError):
    """An error that breaks the rules of errors: its code is a text."""

    code: ClassVar[Any] = "s3cret"


CONTRACT: Final = ServiceContract(
    name="probe",
    version="1.2.3",
    description="Does as it is told.",
    digest="sha256:probe",
)
THING: Final = Aggregate(name="thing", state=Thing)
HAPPENED: Final = Event(
    name="happened",
    contract=CONTRACT,
    aggregate=THING,
    data=Happened,
    description="It happened.",
)
RUN: Final = Command(
    name="run",
    contract=CONTRACT,
    aggregate=THING,
    payload=Run,
    result=Outcome,
    errors=(PartMissingError, NotReadyError),
    emits=(HAPPENED,),
    description="Do as told.",
)
FORGET: Final = Command(
    name="forget",
    contract=CONTRACT,
    aggregate=THING,
    payload=Run,
    result=NoneType,
    description="Answer nothing.",
)
GET: Final = Query(
    name="get",
    contract=CONTRACT,
    aggregate=THING,
    parameters=NoneType,
    result=Entity[Thing],
    description="The thing.",
)
FIND: Final = Query(
    name="find",
    contract=CONTRACT,
    aggregate=THING,
    parameters=FindParameters,
    result=Outcome,
    description="Find something.",
)

Action = Callable[[str, Run, RequestContext], Awaitable[Any]]


async def echo(key: str, command: Run, context: RequestContext) -> Outcome:
    """Answer the action."""
    del key, context
    return Outcome(text=command.action)


class Probe(ServiceHandlers):
    """Handlers that run `actions` by name, and record the contexts that they saw."""

    contract: ClassVar[ServiceContract] = CONTRACT

    def __init__(self, **actions: Action) -> None:
        self.actions = actions
        self.seen: list[RequestContext] = []

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Do as told."""
        self.seen.append(context)
        outcome: Outcome = await self.actions.get(command.action, echo)(key, command, context)
        return outcome

    async def forget(self, key: str, command: Run, context: RequestContext) -> None:
        """Answer nothing."""
        await self.run(key, command, context)

    async def get(self, key: str, context: RequestContext) -> Entity[Thing]:
        """Answer the thing."""
        self.seen.append(context)
        return Entity(id=context.aggregate_id, state=Thing(text=key), revision=7)

    async def find(self, key: str, query: FindParameters, context: RequestContext) -> Outcome:
        """Answer the pattern."""
        self.seen.append(context)
        return Outcome(text=f"{key} {query.pattern}")

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all operations."""
        return (
            Endpoint.command(RUN, self.run),
            Endpoint.command(FORGET, self.forget),
            Endpoint.plain_query(GET, self.get),
            Endpoint.query(FIND, self.find),
        )

    async def publish_happened(
        self, key: str, data: Happened, **options: Unpack[PublishOptions]
    ) -> None:
        """Publish the event."""
        await publish(self.transport, HAPPENED, key, data, self.telemetry, **options)


class ProbeClient(ServiceClient):
    """A client of the probe, as the generator would write it."""

    contract: ClassVar[ServiceContract] = CONTRACT

    async def run(self, key: str, command: Run, **options: Unpack[CallOptions]) -> Outcome:
        """Do as told."""
        return await self.execute(RUN, key, command, **options)

    async def forget(self, key: str, command: Run, **options: Unpack[CallOptions]) -> None:
        """Answer nothing."""
        await self.execute(FORGET, key, command, **options)

    async def get(self, key: str, **options: Unpack[CallOptions]) -> Entity[Thing]:
        """Answer the thing."""
        return await self.query(GET, key, None, **options)

    async def find(
        self, key: str, query: FindParameters, **options: Unpack[CallOptions]
    ) -> Outcome:
        """Answer the pattern."""
        return await self.query(FIND, key, query, **options)

    async def subscribe_happened(
        self, handler: EventHandler[Happened], **options: Unpack[SubscribeOptions]
    ) -> EventSubscription:
        """Take the event."""
        return await subscribe(self.transport, HAPPENED, handler, self.telemetry, **options)

    async def publish_happened(
        self, key: str, data: Happened, **options: Unpack[PublishOptions]
    ) -> None:
        """Publish the event."""
        await publish(self.transport, HAPPENED, key, data, self.telemetry, **options)


class ProbeSyncClient(ServiceSyncClient[ProbeClient]):
    """A synchronous client of the probe, as the generator would write it."""

    contract: ClassVar[ServiceContract] = CONTRACT
    client_class: ClassVar[type[ServiceClient]] = ProbeClient

    def run(self, key: str, command: Run, **options: Unpack[CallOptions]) -> Outcome:
        """Do as told."""
        return self._wait(self._client.run(key, command, **options))

    def get(self, key: str, **options: Unpack[CallOptions]) -> Entity[Thing]:
        """Answer the thing."""
        return self._wait(self._client.get(key, **options))

    def subscribe_happened(
        self, handler: SyncEventHandler[Happened], **options: Unpack[SubscribeOptions]
    ) -> SyncEventSubscription:
        """Take the event."""
        return subscribe_sync(self._wait, self._client.subscribe_happened, handler, **options)

    def publish_happened(self, key: str, data: Happened, **options: Unpack[PublishOptions]) -> None:
        """Publish the event."""
        self._wait(self._client.publish_happened(key, data, **options))
