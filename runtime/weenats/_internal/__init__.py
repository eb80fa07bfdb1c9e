"""Private helpers that know nothing of services or messages."""
