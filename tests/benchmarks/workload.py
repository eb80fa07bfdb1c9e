"""What every contender carries: a payload of about 310 bytes of JSON, a result of about 200.

An order with three line items goes out, its confirmation comes back: nested, so that validation
has something to do.
"""

from typing import Final

KEY: Final = "order-1024"

ORDER: Final[dict[str, object]] = {
    "customer": "customer-000481",
    "currency": "EUR",
    "note": "leave it at the door, ring twice",
    "items": [
        {"sku": "coffee-beans-1kg", "name": "Coffee", "price": 18.5, "quantity": 2},
        {"sku": "oat-milk-1l", "name": "Oat milk", "price": 2.25, "quantity": 6},
        {"sku": "paper-filters-100", "name": "Filters", "price": 4.0, "quantity": 1},
    ],
}

CONFIRMATION: Final[dict[str, object]] = {
    "customer": "customer-000481",
    "status": "accepted",
    "total": 54.5,
    "positions": 3,
    "warehouse": "rotterdam-europoort-02",
    "carrier": "cargo-bike",
    "message": "we pack it today and ring twice",
}
