"""Typed events: publish, subscribe and, for durable ones, consume.

Subscribers get events at most once, if they are connected at that moment. Consumers of durable
events, which a stream of JetStream keeps, process each event at least once.
"""

from typing import TYPE_CHECKING

from weenats._internal.lazy import lazy_exports
from weenats.events.handling import EventHandler, ReceivedEvent
from weenats.events.publish import PublishOptions, publish
from weenats.events.subscribe import EventSubscription, SubscribeOptions, subscribe
from weenats.events.sync import SyncEventHandler, SyncEventSubscription, subscribe_sync

if TYPE_CHECKING:
    from weenats.events.consume_options import ConsumeOptions
    from weenats.events.consumer import EventConsumer, EventRoute
    from weenats.events.consumption import Consumption, consume
    from weenats.events.iteration import consuming
    from weenats.events.reader import read_events
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "weenats.events.consume_options": ["ConsumeOptions"],
            "weenats.events.consumer": ["EventConsumer", "EventRoute"],
            "weenats.events.consumption": ["Consumption", "consume"],
            "weenats.events.iteration": ["consuming"],
            "weenats.events.reader": ["read_events"],
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
