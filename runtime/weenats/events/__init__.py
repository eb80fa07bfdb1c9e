"""Typed events: publish, subscribe and, for durable ones, consume.

Subscribers get events at most once, if they are connected at that moment. Consumers of durable
events, which a stream of JetStream keeps, process each event at least once.
"""

from typing import TYPE_CHECKING

from weenats._internal.lazy import lazy_exports
from weenats.events.publish import PublishOptions, publish
from weenats.events.received_event import EventHandler, ReceivedEvent
from weenats.events.subscribe import EventSubscription, SubscribeOptions, subscribe
from weenats.events.subscribe_sync import SyncEventHandler, SyncEventSubscription, subscribe_sync

if TYPE_CHECKING:
    from weenats.events.consume_loop import consuming
    from weenats.events.consume_options import ConsumeOptions
    from weenats.events.consumer_base import EventConsumer, EventRoute
    from weenats.events.reader import read_events
    from weenats.events.running_consumer import Consumption, consume
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "weenats.events.consume_options": "ConsumeOptions",
            "weenats.events.consumer_base": "EventConsumer EventRoute",
            "weenats.events.running_consumer": "Consumption consume",
            "weenats.events.consume_loop": "consuming",
            "weenats.events.reader": "read_events",
        },
    )

__all__ = [
    "ConsumeOptions",
    "Consumption",
    "EventConsumer",
    "EventHandler",
    "EventRoute",
    "EventSubscription",
    "PublishOptions",
    "ReceivedEvent",
    "SubscribeOptions",
    "SyncEventHandler",
    "SyncEventSubscription",
    "consume",
    "consuming",
    "publish",
    "read_events",
    "subscribe",
    "subscribe_sync",
]
