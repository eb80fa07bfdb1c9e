"""Private helpers that depend on nothing else of weenats."""
