"""Generated packages on disk."""
