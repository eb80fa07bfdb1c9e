"""The rules that a contract must follow; each check reports everything that it finds."""
