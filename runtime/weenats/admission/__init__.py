"""Admission of messages: bounded concurrency, a queue, deadlines, cancellation, draining."""

from weenats.admission.controller import Admission
from weenats.admission.job import Job, Worker

__all__ = ["Admission", "Job", "Worker"]
