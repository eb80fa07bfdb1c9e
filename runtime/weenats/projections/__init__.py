"""Projections: views of durable events that are kept up to date, and rebuilt beside the old ones.

A projection reads the durable events of a service in order and changes a view with each of them: in
a key-value bucket, a database, anything. Services answer queries from the view.
"""

from weenats.projections.generation import Generation
from weenats.projections.key_value import KeyValueView
from weenats.projections.projection import Projection
from weenats.projections.running import RunningProjection
from weenats.projections.status import GenerationStatus
from weenats.projections.view import Checkpoint, View

__all__ = [
    "Checkpoint",
    "Generation",
    "GenerationStatus",
    "KeyValueView",
    "Projection",
    "RunningProjection",
    "View",
]
