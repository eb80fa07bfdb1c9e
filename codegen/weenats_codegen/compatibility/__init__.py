"""Compatibility of two versions of a contract."""
