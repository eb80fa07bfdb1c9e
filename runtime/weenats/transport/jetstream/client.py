"""Streams, consumers and messages of JetStream."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from weenats.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    NoRespondersError,
    NotFoundError,
    ServiceError,
    connection_error,
)
from weenats.protocol import headers as header_names
from weenats.protocol.headers import Headers
from weenats.transport.base import DENIED, check_transport
from weenats.transport.jetstream.api import PREFIX, call, foreign, parse, read, silent
from weenats.transport.jetstream.config import (
    ConsumerConfig,
    ConsumerInfo,
    StreamConfig,
    StreamInfo,
)
from weenats.transport.jetstream.errors import (
    JetStreamRefusedError,
    JetStreamUnavailableError,
    StreamMissingError,
)
from weenats.transport.jetstream.gapless_pull import GaplessPull
from weenats.transport.jetstream.key_value import KeyValue
from weenats.transport.jetstream.messages import (
    PublishAck,
    StoredMessage,
    publish_ack,
    stored_message,
)
from weenats.transport.jetstream.pinned_pull import ExclusivePull
from weenats.transport.jetstream.pull import Pull
from weenats.transport.nats_py.errors import permission_denied

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from pydantic import JsonValue

    from weenats.transport.base import Delivery, Subscription, Transport

__all__ = ["JetStream"]
ItemT = TypeVar("ItemT")
PullT = TypeVar("PullT", bound=Pull)
_TIMEOUT: Final = 5.0
_AGAIN: Final = 1.0
"""Seconds until an unanswered request is sent again: while there is no leader it is lost."""
_EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
_READ_BATCH: Final = 256
_READ_BYTES: Final = 4 * 1024 * 1024
_NOT_FOUND: Final = "404"
_END: Final = "204"
_DELETION: Final = 0.5
"""Seconds after which the deletion of a stream is done."""
_STORE_FAILED: Final = 10049
_STORE_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds until a stream is created again whose folder could not be created."""


class JetStream:
    """The streams of the account of a connection. Make as many as you like.

    It remembers which streams it has seen: see `create_stream`.

    Every method ends within `timeout`, and fails with an error of `weenats.errors` or of this
    package, whose message names what was asked for.

    Args:
        transport: the connection, which is opened by the first use.
        timeout: the time limit of a request in seconds.

    Example:
        ```python
        jetstream = JetStream(transport)
        await jetstream.create_stream(StreamConfig("orders-events", ("orders.stream.*.>",)))
        await jetstream.publish("orders.stream.0.placed", b"{}", message_id="01J...")
        ```
    """

    def __init__(self, transport: Transport, timeout: float = _TIMEOUT) -> None:
        check_transport(transport)
        self._transport = transport
        self._timeout = timeout
        self._seen: set[str] = set()

    async def create_stream(self, config: StreamConfig) -> StreamInfo:
        """Create a stream; one with exactly these settings is left alone.

        One that this object has seen is created half a second later, as somebody may delete it just
        now: until that is done, a nats-server lets a stream of that name be created, removes its
        files, and never answers what is published to it.

        Args:
            config: its settings.

        Raises:
            AlreadyExistsError: there is one with other settings.
            JetStreamRefusedError: the server cannot have such a stream.
            ServiceError: see `api.call`.
        """
        name = config.name
        operation, body = f"STREAM.CREATE.{name}", config.to_json()
        if name in self._seen:
            await asyncio.sleep(_DELETION)
        for pause in _STORE_PAUSES:
            try:
                return await self._stream(operation, body, name)
            except JetStreamRefusedError as error:
                # The server still removes the folder of a stream that was deleted just now.
                if error.error_code != _STORE_FAILED:
                    raise
                await asyncio.sleep(pause)
        return await self._stream(operation, body, name)

    async def ensure_stream(self, config: StreamConfig) -> StreamInfo:
        """Return a stream as it is, with any settings; create it if there is none.

        Args:
            config: its settings if there is none.

        Raises:
            JetStreamRefusedError: the server cannot have such a stream.
            ServiceError: see `api.call`.
        """
        with suppress(StreamMissingError):
            return await self.stream_info(config.name)
        with suppress(AlreadyExistsError):  # another instance was quicker, with other settings
            return await self.create_stream(config)
        return await self.stream_info(config.name)

    async def update_stream(self, config: StreamConfig) -> StreamInfo:
        """Change all settings of a stream: begin with those of `stream_info`.

        Args:
            config: its settings.

        Raises:
            StreamMissingError: there is none.
            JetStreamRefusedError: the server cannot change it like that.
            ServiceError: see `api.call`.
        """
        operation = f"STREAM.UPDATE.{config.name}"
        return self._found(await self._call(operation, config.to_json(), config.name), config.name)

    async def delete_stream(self, name: str) -> None:
        """Delete a stream and its messages.

        Args:
            name: its name.

        Raises:
            StreamMissingError: there is none.
            ServiceError: see `api.call`.
        """
        self._seen.add(name)
        await self._call(f"STREAM.DELETE.{name}", {}, name)

    async def stream_info(self, name: str) -> StreamInfo:
        """Return the settings and the state of a stream.

        Args:
            name: its name.

        Raises:
            StreamMissingError: there is none.
            ServiceError: see `api.call`.
        """
        return await self._stream(f"STREAM.INFO.{name}", {}, name)

    async def streams(self) -> list[StreamInfo]:
        """Return all streams of the account.

        Raises:
            ServiceError: see `api.call`.
        """
        return await self._pages("STREAM.LIST", "streams", StreamInfo.from_json, "the streams")

    async def purge(self, stream: str, subject: str = "") -> int:
        """Delete the messages of a stream.

        Args:
            stream: the name of the stream.
            subject: only of this subject, which may have wildcards; "" for all.

        Returns:
            How many were deleted.

        Raises:
            StreamMissingError: there is no such stream.
            ServiceError: see `api.call`.
        """
        body: dict[str, JsonValue] = {"filter": subject} if subject else {}
        response = await self._call(f"STREAM.PURGE.{stream}", body, stream)
        return read(lambda each: int(each["purged"]), response, stream)

    async def create_consumer(self, stream: str, config: ConsumerConfig) -> ConsumerInfo:
        """Create a consumer; one with exactly these settings is left alone.

        Args:
            stream: the name of the stream.
            config: its settings.

        Raises:
            AlreadyExistsError: there is one with other settings.
            StreamMissingError: there is no such stream.
            JetStreamRefusedError: the server cannot have such a consumer.
            ServiceError: see `api.call`.
        """
        return await self._set_consumer(stream, config, "create")

    async def update_consumer(self, stream: str, config: ConsumerConfig) -> ConsumerInfo:
        """Change all settings of a consumer: begin with those of `consumer_info`.

        Args:
            stream: the name of the stream.
            config: its settings.

        Raises:
            ConsumerMissingError: there is none.
            StreamMissingError: there is no such stream.
            JetStreamRefusedError: the server cannot change it like that.
            ServiceError: see `api.call`.
        """
        return await self._set_consumer(stream, config, "update")

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Delete a consumer.

        Args:
            stream: the name of the stream.
            name: its name.

        Raises:
            ConsumerMissingError: there is none.
            StreamMissingError: there is no such stream.
            ServiceError: see `api.call`.
        """
        await self._call(f"CONSUMER.DELETE.{stream}.{name}", {}, f"{name} of {stream}")

    def discard_consumer(self, stream: str, name: str) -> None:
        """Delete a consumer if it is there, without waiting for a server that may not answer.

        Args:
            stream: the name of the stream.
            name: its name.

        Raises:
            ServiceError: see Transport.publish.
        """
        self._transport.publish(f"{PREFIX}CONSUMER.DELETE.{stream}.{name}", b"")

    async def consumer_info(self, stream: str, name: str) -> ConsumerInfo:
        """Return the settings and the state of a consumer.

        Args:
            stream: the name of the stream.
            name: its name.

        Raises:
            ConsumerMissingError: there is none.
            StreamMissingError: there is no such stream.
            ServiceError: see `api.call`.
        """
        what = f"{name} of {stream}"
        response = await self._ask(f"CONSUMER.INFO.{stream}.{name}", {}, what)
        return read(ConsumerInfo.from_json, response, what)

    async def consumers(self, stream: str) -> list[ConsumerInfo]:
        """Return the consumers of a stream.

        Args:
            stream: the name of the stream.

        Raises:
            StreamMissingError: there is no such stream.
            ServiceError: see `api.call`.
        """
        operation, what = f"CONSUMER.LIST.{stream}", f"the consumers of {stream}"
        return await self._pages(operation, "consumers", ConsumerInfo.from_json, what)

    async def publish(  # noqa: PLR0913 - the expectations of a publisher
        self,
        subject: str,
        payload: bytes,
        headers: bytes = b"",
        *,
        message_id: str = "",
        stream: str = "",
        expected_last_subject_sequence: int | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> PublishAck:
        """Publish a message, and wait until its stream has stored it.

        When it fails with another error than those below, the message may have been stored.
        Publishing it again with the same id within the duplicate window stores it once.

        Args:
            subject: the subject.
            payload: the payload.
            headers: encoded header lines.
            message_id: the id, by which the stream knows repeated messages; "" for none. A
                repeated message with a stale expected sequence is acknowledged by a stream with
                replicas, and refused by one without (nats-server 2.15).
            stream: the stream that has to store it; "" for any.
            expected_last_subject_sequence: the sequence of the last message of the subject, 0 if
                there is none; None for any.
            ttl: after how many seconds it is removed, at least 1; None for never.
            timeout: the time limit in seconds; None for that of this object.

        Raises:
            StreamMissingError: no stream stores the subject, or it has no leader now.
            StreamFullError: the stream is full.
            WrongSequenceError: the last message is another one.
            WrongStreamError: another stream stores the subject.
            JetStreamRefusedError: the stream refuses it for another reason.
            JetStreamUnavailableError: something else than a stream answers.
            ServiceError: see Transport.request.
        """
        expected: dict[str, str] = {}
        if message_id:
            expected["Nats-Msg-Id"] = message_id
        if stream:
            expected["Nats-Expected-Stream"] = stream
        if expected_last_subject_sequence is not None:
            expected[_EXPECTED_LAST] = str(expected_last_subject_sequence)
        if ttl is not None:
            expected["Nats-TTL"] = f"{round(ttl * 1000)}ms"
        lines = headers + header_names.encode(expected)
        deadline = monotonic() + (self._timeout if timeout is None else timeout)
        try:
            answer = await self._transport.request(subject, payload, lines, deadline)
        except NoRespondersError:
            raise StreamMissingError(
                f"no stream stores {subject}: it does not exist, or has no leader now"
            ) from None
        response = parse(answer.payload, f"publishing to {subject}")
        return read(publish_ack, response, f"publishing to {subject}")

    def publish_unconfirmed(
        self, subject: str, payload: bytes, headers: bytes, expected_last_subject_sequence: int
    ) -> None:
        """Publish a message, without waiting until its stream has stored it, or refused it.

        Args:
            subject: the subject.
            payload: the payload.
            headers: encoded header lines.
            expected_last_subject_sequence: see `publish`.

        Raises:
            ServiceError: see Transport.publish.
        """
        expected = {_EXPECTED_LAST: str(expected_last_subject_sequence)}
        self._transport.publish(subject, payload, headers + header_names.encode(expected))

    async def get(self, stream: str, sequence: int) -> StoredMessage:
        """Return a message by its sequence.

        Args:
            stream: the name of the stream, which allows direct access.
            sequence: the sequence.

        Raises:
            NotFoundError: there is none.
            StreamMissingError: there is no such stream, or it does not allow direct access.
            ServiceError: see Transport.request.
        """
        return await self._direct_get(stream, {"seq": sequence})

    async def next(self, stream: str, subject: str, *, start: int) -> StoredMessage:
        """Return the first message of a subject from a sequence on.

        Args:
            stream: the name of the stream, which allows direct access.
            subject: the subject, which may have wildcards.
            start: the sequence.

        Raises:
            NotFoundError: there is none.
            StreamMissingError: there is no such stream, or it does not allow direct access.
            ServiceError: see Transport.request.
        """
        return await self._direct_get(stream, {"seq": start, "next_by_subj": subject})

    async def last(self, stream: str, subject: str, *, leader: bool = False) -> StoredMessage:
        """Return the last message of a subject.

        Args:
            stream: the name of the stream, which allows direct access.
            subject: the subject, which may have wildcards.
            leader: ask the leader of the stream; other replicas may be late.

        Raises:
            NotFoundError: there is none.
            StreamMissingError: there is no such stream, or it does not allow direct access.
            ServiceError: see Transport.request.
        """
        if not leader:
            return await self._direct_get(stream, {"last_by_subj": subject})
        what = f"{subject} of {stream}"
        response = await self._ask(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, what)
        return read(lambda each: _leader_message(each["message"], stream), response, what)

    async def delete_message(self, stream: str, sequence: int) -> None:
        """Delete a message.

        Args:
            stream: the name of the stream.
            sequence: the sequence of the message.

        Raises:
            NotFoundError: there is none.
            StreamMissingError: there is no such stream.
            ServiceError: see `api.call`.
        """
        what = f"message {sequence} of {stream}"
        await self._call(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True}, what)

    async def read(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[StoredMessage]:
        """Yield the stored messages in their order, up to the last one, without a consumer.

        Args:
            stream: the name of the stream, which allows direct access.
            subject: the subjects, which may have wildcards.
            start: the sequence of the first one.

        Raises:
            StreamMissingError: there is no such stream, or it does not allow direct access.
            ServiceError: see Transport.request.
        """
        answers: asyncio.Queue[Delivery] = asyncio.Queue()
        inbox: Subscription | None = None
        try:
            # The connection has more time for each step than a request has.
            async with self._within(stream):
                await self._transport.connect()
                inbox = self._transport.subscribe(self._transport.new_inbox(), answers.put_nowait)
                await self._transport.fence()
            pending = 1
            while pending:
                body = {
                    "batch": _READ_BATCH,
                    "max_bytes": _READ_BYTES,
                    "seq": start,
                    "next_by_subj": subject,
                }
                self._transport.publish(
                    f"{PREFIX}DIRECT.GET.{stream}", json.dumps(body).encode(), reply=inbox.subject
                )
                first = start
                while True:
                    async with self._within(stream):
                        answer = await answers.get()
                    if answer.status:
                        break
                    message = read(stored_message, answer, stream)
                    if message.sequence < start:
                        raise foreign(stream)
                    start = message.sequence + 1
                    yield message
                pending = read(partial(_pending, stream=stream), answer, stream)
                if pending and start == first:  # it would never end
                    raise foreign(stream)
        finally:
            if inbox is not None:
                with suppress(JetStreamUnavailableError):
                    async with self._within(stream):
                        await self._transport.unsubscribe([inbox])

    def pull(self, stream: str, consumer: str, *, batch: int = 100) -> Pull:
        """Return the messages of a consumer, for `async with` and `async for`.

        Args:
            stream: the name of the stream.
            consumer: the name of the consumer.
            batch: how many messages are asked for ahead.
        """
        return self._pull(Pull, stream, consumer, batch)

    def gapless_pull(self, stream: str, consumer: str, *, batch: int) -> GaplessPull:
        """Return the messages of a new consumer without acknowledgements, until one was lost.

        Args:
            stream: the name of the stream.
            consumer: the name of the consumer, which has no other reader.
            batch: how many messages are asked for ahead.
        """
        return self._pull(GaplessPull, stream, consumer, batch)

    def exclusive_pull(self, stream: str, consumer: str, *, batch: int) -> ExclusivePull:
        """Return the messages of a consumer that has one reader at a time.

        Args:
            stream: the name of the stream.
            consumer: the name of a consumer with settings of `for_one_reader`.
            batch: how many messages are asked for ahead, more than its `max_ack_pending`.
        """
        return self._pull(ExclusivePull, stream, consumer, batch)

    def _pull(self, kind: type[PullT], stream: str, consumer: str, batch: int) -> PullT:
        return kind(
            self._transport,
            stream,
            consumer,
            lambda: self.consumer_info(stream, consumer),
            batch,
        )

    def key_value(self, bucket: str) -> KeyValue:
        """Return a bucket, which has to exist: `create_stream(bucket_config(bucket))`.

        Args:
            bucket: its name.
        """
        return KeyValue(self, bucket)

    async def _call(
        self, operation: str, body: Mapping[str, JsonValue], what: str
    ) -> dict[str, Any]:
        return await call(self._transport, operation, body, what=what, timeout=self._timeout)

    async def _ask(
        self, operation: str, body: Mapping[str, JsonValue], what: str
    ) -> dict[str, Any]:
        """Send a request that may come twice, until somebody answers or the time is over."""
        return await call(
            self._transport, operation, body, what=what, timeout=self._timeout, again=_AGAIN
        )

    async def _set_consumer(self, stream: str, config: ConsumerConfig, action: str) -> ConsumerInfo:
        body: dict[str, JsonValue] = {
            "stream_name": stream,
            "config": config.to_json(),
            "action": action,
        }
        operation = f"CONSUMER.CREATE.{stream}.{config.name}"
        what = f"{config.name} of {stream}"
        send = self._ask if action == "create" else self._call
        return read(ConsumerInfo.from_json, await send(operation, body, what), what)

    async def _stream(self, operation: str, body: Mapping[str, JsonValue], name: str) -> StreamInfo:
        return self._found(await self._ask(operation, body, name), name)

    def _found(self, response: dict[str, Any], name: str) -> StreamInfo:
        info = read(StreamInfo.from_json, response, name)
        self._seen.add(name)
        return info

    async def _pages(
        self, operation: str, member: str, decode: Callable[[dict[str, Any]], ItemT], what: str
    ) -> list[ItemT]:
        """Return what all pages of a list have."""
        found: list[ItemT] = []
        total = 1
        while len(found) < total:
            response = await self._ask(operation, {"offset": len(found)}, what)
            page = read(
                lambda each: [decode(item) for item in each.get(member) or ()], response, what
            )
            found += page
            total = read(lambda each: int(each["total"]), response, what) if page else 0
        return found

    async def _direct_get(self, stream: str, body: Mapping[str, JsonValue]) -> StoredMessage:
        deadline = monotonic() + self._timeout
        try:
            answer = await self._transport.request(
                f"{PREFIX}DIRECT.GET.{stream}", json.dumps(body).encode(), b"", deadline
            )
        except NoRespondersError:
            raise _no_direct_access(stream) from None
        except DeadlineExceededError:
            raise silent(stream) from None
        if answer.status:
            raise connection_error(NotFoundError, f"{stream} has no such message")
        return read(stored_message, answer, stream)

    @asynccontextmanager
    async def _within(self, stream: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise silent(stream) from None


def _pending(answer: Delivery, stream: str) -> int:
    """Return how many messages are left after the end of a batch."""
    if answer.status == _NOT_FOUND:
        return 0
    if answer.status == DENIED:
        raise permission_denied("publish", answer.subject)
    if answer.status != _END:
        raise _no_direct_access(stream)
    return int(answer.headers.get("Nats-Num-Pending", "0"))


def _no_direct_access(stream: str) -> ServiceError:
    return StreamMissingError(
        f"{stream} does not exist, does not allow direct access, or has no leader now"
    )


def _leader_message(message: Mapping[str, Any], stream: str) -> StoredMessage:
    return StoredMessage(
        message["subject"],
        base64.b64decode(message.get("data", "")),
        Headers(base64.b64decode(message.get("hdrs", ""))),
        stream=stream,
        sequence=message["seq"],
        time=message["time"],
    )
