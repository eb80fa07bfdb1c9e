"""The connections of a nats-server, from its monitoring port."""

from __future__ import annotations

import json
from urllib.request import urlopen


def subscriptions(port: int) -> dict[str, list[str]]:
    """Return the subscriptions of each connection, by its name."""
    uri = f"http://127.0.0.1:{port}/connz?subs=true&limit=1000"
    with urlopen(uri, timeout=5) as reply:
        connections = json.load(reply)["connections"]
    return {each["name"]: each.get("subscriptions_list", []) for each in connections}
