"""The codec of each event, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from weenats.codec import EventCodec

if TYPE_CHECKING:
    from weenats.contract import Event

_CODECS: Final[dict[Event[Any], EventCodec]] = {}


def codec_of(event: Event[Any]) -> EventCodec:
    """Return the codec of an event."""
    codec = _CODECS.get(event)
    if codec is None:
        codec = _CODECS[event] = EventCodec(event)
    return codec
