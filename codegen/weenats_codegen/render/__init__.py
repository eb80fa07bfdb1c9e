"""Rendering a contract as Python source."""
