"""Durability guarantees: what the servers do to keep what a service stores, and what it demands."""

from weenats.durability.feature import Durability
from weenats.durability.guarantees import Guarantee, look_up_guarantees

__all__ = ["Durability", "Guarantee", "look_up_guarantees"]
