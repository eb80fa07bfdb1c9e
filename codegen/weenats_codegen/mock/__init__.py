"""A service that answers from the examples of its contract, before the real one exists."""

from weenats_codegen.mock.mock import Call, Mock

__all__ = ["Call", "Mock"]
