"""Event sourcing: aggregates that are kept in a stream of their events.

A command decides which events it causes; they are stored, with its reply, in one message. The state
of an aggregate is what its events add up to.
"""

from weenats.aggregates.decision import Decision, Emission

__all__ = ["Decision", "Emission"]
