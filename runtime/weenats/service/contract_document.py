"""Answering requests for the contract with the whole document."""

from __future__ import annotations

import gzip
from functools import cache
from typing import TYPE_CHECKING, Final

from weenats.errors import MessageTooLargeError, UnimplementedError
from weenats.protocol import headers as header_names
from weenats.service.discovery import answering

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.transport.base import OnDelivery, Transport

__all__ = ["answer_contract"]
_GZIP: Final = header_names.encode({header_names.CONTENT_ENCODING: "gzip"})


def answer_contract(transport: Transport, contract: ServiceContract) -> OnDelivery:
    """Return a callback that answers with the contract document, or with why there is none.

    A document that does not fit into one message is compressed with gzip. It is read, and
    compressed, when it is requested for the first time.

    Args:
        transport: the connection.
        contract: the contract.
    """

    @cache
    def document() -> bytes:
        if contract.document is None:
            raise UnimplementedError(
                f"the package of {contract.name} has no contract document: run `weenats generate`"
            )
        return contract.document().encode()

    @cache
    def compressed() -> bytes:
        return gzip.compress(document(), mtime=0)

    def send(reply: str) -> None:
        try:
            transport.publish(reply, document())
        except MessageTooLargeError:
            _send_compressed(transport, reply, compressed())

    return answering(transport, send)


def _send_compressed(transport: Transport, reply: str, data: bytes) -> None:
    try:
        transport.publish(reply, data, _GZIP)
    except MessageTooLargeError:
        raise MessageTooLargeError(
            f"the contract has {len(data)} bytes when compressed, the NATS server carries at most"
            f" {transport.max_payload}"
        ) from None
