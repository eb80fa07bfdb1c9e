"""A TLS context of files that are renewed while the process runs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TlsFiles"]
_LOG: Final = LimitedLogger("weenats.transport")
_Version = tuple[int, int, int]


class TlsFiles:
    """Returns the TLS context of files, which it reads again when they have changed.

    Files that are missing or half-written, or that do not fit together yet, leave the former
    context in use.

    Args:
        authorities: the file of the certificates to trust; None for those of the system.
        certificate: the file of the certificate to present, None for none.
        key: the file of its key; None if that is in the same file.

    Raises:
        OSError: a file cannot be used.
    """

    def __init__(
        self, authorities: Path | None, certificate: Path | None, key: Path | None
    ) -> None:
        self._authorities = authorities
        self._certificate = certificate
        self._key = key
        self._versions = self._present()
        self._context = self._read()

    def __call__(self) -> ssl.SSLContext:
        """Return the context."""
        try:
            versions = self._present()
            if versions != self._versions:
                self._context = self._read()
                self._versions = versions
        except OSError as error:
            reason = error.strerror or type(error).__name__
            _LOG.warning("renewed TLS files cannot be used, the former ones are: %s", reason)
        return self._context

    def _present(self) -> list[_Version]:
        paths = (self._authorities, self._certificate, self._key)
        found = [path.stat() for path in paths if path is not None]
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._authorities)
        if self._certificate is not None:
            context.load_cert_chain(self._certificate, self._key)
        return context
