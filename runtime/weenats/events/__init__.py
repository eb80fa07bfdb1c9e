"""Typed events: publish, subscribe and, for durable ones, consume.

Subscribers get events at most once, if they are connected at that moment. Consumers of durable
events, which a stream of JetStream keeps, process each event at least once.
"""

from weenats.events.consume_options import ConsumeOptions
from weenats.events.consumer import EventConsumer, EventRoute
from weenats.events.consuming import consuming
from weenats.events.consumption import Consumption, consume
from weenats.events.handling import EventHandler, ReceivedEvent
from weenats.events.publish import PublishOptions, publish
from weenats.events.reader import read_events
from weenats.events.subscribe import EventSubscription, SubscribeOptions, subscribe
from weenats.events.sync import SyncEventHandler, SyncEventSubscription, subscribe_sync

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
