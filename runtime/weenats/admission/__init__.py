"""Admission of messages: bounded concurrency, a queue, deadlines, cancellation, draining."""
