"""Stub."""

from weenats.context import Key

ATTEMPT = Key[int]("attempt")
