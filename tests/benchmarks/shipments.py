"""Contenders of another workload: nested objects, date-times and lists, of 1 to 900 kB.

Each call sends a shipment and gets it back. The modules that measure this are `shipments_raw`,
`shipments_by_hand` and `shipments_typed`.
"""

import json
from typing import Any, Final

SIZES: Final = (1_000, 10_000, 100_000, 900_000)
"""Bytes of JSON, about."""
KEY: Final = "shipment-7"


def shipment(size: int) -> dict[str, Any]:
    """Return a shipment of about that many bytes of JSON."""
    parcels: list[dict[str, Any]] = []
    whole = {
        "carrier": {"name": "cargo-bike", "contact": {"email": "hello@carrier.example"}},
        "bookedAt": "2026-03-01T08:15:30.250000Z",
        "tags": ["fragile", "cold"],
        "parcels": parcels,
    }
    each = len(json.dumps(_parcel(100), separators=(",", ":"))) + 1
    parcels += [_parcel(number) for number in range(max((size - 170) // each, 1))]
    return whole


def _parcel(number: int) -> dict[str, Any]:
    return {
        "id": f"parcel-{number:05}",
        "weight": 1.25 + number,
        "size": {"width": 30, "height": 20, "depth": 10},
        "scans": [
            {"at": "2026-03-01T09:00:00Z", "place": "Rotterdam"},
            {"at": "2026-03-02T10:30:00Z", "place": "Utrecht"},
        ],
        "items": ["coffee", "oat milk", "filters"],
        "insured": number % 2 == 0,
    }
