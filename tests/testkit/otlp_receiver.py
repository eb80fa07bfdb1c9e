"""An OTLP/HTTP receiver on loopback that decodes what it gets, or does not answer."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver:
    """The requests that arrived."""

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        self.bodies: list[bytes] = []
        self.answers = threading.Event()
        self.answers.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.bodies.append(body)
                outer.answers.wait()
                kinds: dict[str, tuple[Any, list[Any]]] = {
                    "/v1/traces": (ExportTraceServiceRequest, outer.traces),
                    "/v1/metrics": (ExportMetricsServiceRequest, outer.metrics),
                }
                kind, kept = kinds[self.path.removeprefix("/base")]
                kept.append(kind.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # whoever asked has gone

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def spans(self) -> list[Any]:
        """The spans of all resources."""
        return [span for _, span in self.resources_and_spans]

    @property
    def resources_and_spans(self) -> list[tuple[dict[str, str], Any]]:
        """The spans, each with the attributes of its resource."""
        return [
            ({each.key: each.value.string_value for each in told.resource.attributes}, span)
            for request in self.traces
            for told in request.resource_spans
            for scope in told.scope_spans
            for span in scope.spans
        ]

    @property
    def metric_names(self) -> set[str]:
        """The names of all metrics."""
        return {
            metric.name
            for request in self.metrics
            for told in request.resource_metrics
            for scope in told.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.answers.set()
        receiver.http.shutdown()
        receiver.http.server_close()
        thread.join()
