"""The IR -> Python source."""
