"""Contender "by hand, everything, sampled out": the same, and the SDK records no trace."""

import by_hand_recorded
import recording
from harness import Call

SUBJECT = "bench.by-hand-sampled-out"


async def serve(url: str) -> None:
    """Serve, recording what the caller sampled."""
    await by_hand_recorded.serve(url, SUBJECT)


async def connect(url: str) -> Call:
    """Call, sampling nothing."""
    recording.record(share=0)
    return await by_hand_recorded.connect(url, SUBJECT)
