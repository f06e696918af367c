"""Serving certificates that are exchanged without a restart or a dropped connection.

Each handshake is handed to the newest good context; connections from before live on. What reads certificates is
imported where it is needed: it takes some 10 MiB, which a process without TLS need not pay.
"""

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from extender.core.model.errors import ConfigError

if TYPE_CHECKING:
    from extender.pki.x509 import Validity


class ServedCertificate:
    """An SSL context for a server, and the contexts it hands handshakes to.

    Attributes:
        context: for the server; it stays the same.
        validity: when the certificate that is served is valid; None while there is none.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.validity: Validity | None = None
        self._current: ssl.SSLContext | None = None
        context.sni_callback = self._choose

    @property
    def ends(self) -> float | None:
        """Until when it is valid, in seconds since the epoch; None while there is none."""
        return self.validity.ends if self.validity is not None else None

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        # Called for every handshake, with or without a server name.
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


class MemoryTls(ServedCertificate):
    """A certificate that never was a file. Until `load` was called, handshakes are refused.

    Args:
        verifies: whether clients have to show a certificate.
    """

    def __init__(self, *, verifies: bool = False) -> None:
        self._verifies = verifies
        super().__init__(_context(verifies=verifies))

    def load(self, cert: bytes, key: bytes, client_ca: bytes = b"") -> None:
        """Serve a certificate chain and its key from the next handshake on; those and the clients' CA are PEM.

        Raises:
            ConfigError: they cannot be used; what was served before stays.
        """
        context = _context(verifies=self._verifies)
        try:
            validity = _first_validity(cert)
            if self._verifies:
                context.load_verify_locations(cadata=client_ca.decode())
            # OpenSSL's binding reads files only. This one is in memory, has no name and is gone when it is closed.
            with open(os.memfd_create("certificate"), "wb") as file:  # noqa: PTH123 - it has no path
                file.write(cert + b"\n" + key)
                file.flush()
                context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        except (OSError, ValueError, ssl.SSLError) as error:
            raise ConfigError(f"tls.crt and tls.key cannot be served: they are no PEM pair: {error}") from error
        self._current, self.validity = context, validity


class ReloadingTls(ServedCertificate):
    """A certificate, key and client CA that follow their files.

    A client CA can be taken back, not only added. Files that are half written or wrong keep the last good ones in
    force.

    Args:
        cert: PEM file of the certificate chain.
        key: PEM file of the private key.
        client_ca: PEM file of the CA that clients must show a certificate of; empty asks for none.

    Attributes:
        source: the certificate's file.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, cert: str, key: str, client_ca: str = "") -> None:
        self.source = cert
        self._files = (cert, key, client_ca)
        self._stamp = self._stamps()
        # How clients are verified is not handed over with a handshake.
        super().__init__(self._load())
        self._current, self.validity = self._load(), self._validity()

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        # Secrets are mounted as symlinks that are swapped: the inode tells even when time and size do not.
        stamps = []
        for file in self._files:
            if file:
                try:
                    stat = os.stat(file)  # noqa: PTH116 - Path.stat would do the same, slower
                except OSError:
                    stamps.append((0, 0, 0))
                else:
                    stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(stamps)

    def _load(self) -> ssl.SSLContext:
        cert, key, client_ca = self._files
        context = _context(verifies=bool(client_ca))
        try:
            context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            missing = [file for file in (cert, key) if not Path(file).is_file()]
            fault = f"{missing[0]} is no file" if missing else f"they are no PEM pair: {error}"
            raise ConfigError(f"TLS certificate {cert} and key {key} cannot be used: {fault}") from error
        if client_ca:
            try:
                context.load_verify_locations(client_ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"client CA {client_ca} cannot be used: {error}") from error
        return context

    def reload(self) -> bool:
        """Read the files again if they have changed; say whether they had.

        Raises:
            ConfigError: they have, and cannot be used; the last good ones stay.
        """
        stamp = self._stamps()
        if stamp == self._stamp:
            return False
        self._current, self.validity = self._load(), self._validity()
        self._stamp = stamp
        return True

    def _validity(self) -> "Validity | None":
        try:
            return _first_validity(Path(self._files[0]).read_bytes())
        except (OSError, ValueError):
            # It was good a moment ago; it is being replaced, and the next look will tell.
            return None


def _context(*, verifies: bool) -> ssl.SSLContext:
    """A server's context, as yet without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A resumed session skips the verification of the client, and so would outlive its CA: no tickets, and where
    # clients are verified no TLS 1.2, whose resumption Python cannot switch off.
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if verifies else ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if verifies:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _first_validity(pem: bytes) -> "Validity":
    from extender.pki.x509 import first_validity  # noqa: PLC0415 - see the module's docstring

    return first_validity(pem)
