"""Idempotent commands: the first reply of a message id is kept, and given to repeats."""

from weenats.idempotency.feature import Idempotency

__all__ = ["Idempotency"]
