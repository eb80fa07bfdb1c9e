"""Services for tests of synchronous programs."""

from collections.abc import Generator
from contextlib import contextmanager

from weenats.client.loop_thread import process_loop
from weenats.service import NatsService

__all__ = ["serving"]


@contextmanager
def serving(service: NatsService) -> Generator[NatsService]:
    """Run a service while synchronous code uses it, on the event loop of synchronous clients.

    Args:
        service: the service; its async handlers cannot use synchronous clients, which would block
            the loop.

    Example:
        ```python
        def test_receipts() -> None:
            transport = MemoryTransport()
            with serving(NatsServiceBuilder(Receipts(), transport=transport).build()):
                receipts = ReceiptsSyncClient(transport)
                assert receipts.add_item("r-1", TEA).total == 0.3
        ```

    Raises:
        ServiceError: the service cannot be started.
    """
    loop = process_loop()
    loop.run(service.start())
    try:
        yield service
    finally:
        loop.run(service.stop())
