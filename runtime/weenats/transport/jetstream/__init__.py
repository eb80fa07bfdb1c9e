"""JetStream: streams, consumers, stored messages and key-value buckets, over any `Transport`.

`JetStream` speaks the JSON API of the server (`$JS.API.>`) with requests and subscriptions of a
`Transport`; so it reconnects, checks and fails like every other message, and needs no nats-py.
"""

from weenats.transport.jetstream.batch import MAX_BATCH, BatchMessage, publish_batch
from weenats.transport.jetstream.client import JetStream
from weenats.transport.jetstream.config import (
    ConsumerConfig,
    ConsumerInfo,
    Republish,
    StreamConfig,
    StreamInfo,
)
from weenats.transport.jetstream.errors import (
    ConsumerMissingError,
    JetStreamMissingError,
    JetStreamRefusedError,
    JetStreamUnavailableError,
    MessageInProcessError,
    StreamFullError,
    StreamMissingError,
    StreamReplacedError,
    WrongSequenceError,
    WrongStreamError,
)
from weenats.transport.jetstream.key_value import KeyValue, KeyValueEntry, bucket_config
from weenats.transport.jetstream.messages import PublishAck, PulledMessage, StoredMessage
from weenats.transport.jetstream.pinned_pull import ExclusivePull, for_one_reader, is_exclusive
from weenats.transport.jetstream.pull import Pull
from weenats.transport.jetstream.upkeep import StreamUpkeep

__all__ = [
    "MAX_BATCH",
    "BatchMessage",
    "ConsumerConfig",
    "ConsumerInfo",
    "ConsumerMissingError",
    "ExclusivePull",
    "JetStream",
    "JetStreamMissingError",
    "JetStreamRefusedError",
    "JetStreamUnavailableError",
    "KeyValue",
    "KeyValueEntry",
    "MessageInProcessError",
    "PublishAck",
    "Pull",
    "PulledMessage",
    "Republish",
    "StoredMessage",
    "StreamConfig",
    "StreamFullError",
    "StreamInfo",
    "StreamMissingError",
    "StreamReplacedError",
    "StreamUpkeep",
    "WrongSequenceError",
    "WrongStreamError",
    "bucket_config",
    "for_one_reader",
    "is_exclusive",
    "publish_batch",
]
