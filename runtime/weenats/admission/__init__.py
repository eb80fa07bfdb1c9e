"""Admission of messages: bounded concurrency, queues, deadlines, cancellation, drain."""
