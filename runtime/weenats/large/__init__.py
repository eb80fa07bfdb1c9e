"""Large payloads: what does not fit into a message travels through an object store."""

from weenats.large.feature import LargePayloads
from weenats.large.objects import LargeObjects, Reference

__all__ = ["LargeObjects", "LargePayloads", "Reference"]
