"""Typed events over core NATS: publish and subscribe.

Delivery is at most once, to the subscribers that are connected at that moment.
"""

from weenats.events.publish import PublishOptions, publish
from weenats.events.subscribe import (
    EventHandler,
    EventSubscription,
    ReceivedEvent,
    SubscribeOptions,
    subscribe,
)
from weenats.events.sync import SyncEventHandler, SyncEventSubscription, subscribe_sync

__all__ = [
    "EventHandler",
    "EventSubscription",
    "PublishOptions",
    "ReceivedEvent",
    "SubscribeOptions",
    "SyncEventHandler",
    "SyncEventSubscription",
    "publish",
    "subscribe",
    "subscribe_sync",
]
