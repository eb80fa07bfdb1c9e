"""Writing generated packages to disk."""
