"""What a nats-server tells of its connections, on its monitoring port."""

from __future__ import annotations

import json
import socket
from urllib.request import urlopen


def subscriptions(port: int) -> dict[str, list[str]]:
    """Return what each connection listens on, by its name."""
    uri = f"http://127.0.0.1:{port}/connz?subs=true&limit=1000"
    with urlopen(uri, timeout=5) as reply:
        connections = json.load(reply)["connections"]
    return {each["name"]: each.get("subscriptions_list", []) for each in connections}


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
