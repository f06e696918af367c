"""Serving certificates that are read again when their files change, without a restart or a dropped connection."""

import os
import ssl
from pathlib import Path

from extender.core.errors import ConfigError


class ReloadingTls:
    """An SSL context whose certificate, key and client CA follow their files.

    Each handshake is handed to the newest good context, so a client CA can be taken back, not only added. Files that
    are half written or wrong keep the last good ones in force.

    Args:
        cert: PEM file of the certificate chain.
        key: PEM file of the private key.
        client_ca: PEM file of the CA that clients must show a certificate of; empty asks for none.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, cert: str, key: str, client_ca: str = "") -> None:
        self._files = (cert, key, client_ca)
        self._stamp = self._stamps()
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called for every handshake, with or without a server name.
        connection.context = self._current

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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A resumed session skips the verification of the client, and so would outlive its CA: no tickets, and where
        # clients are verified no TLS 1.2, whose resumption Python cannot switch off.
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if client_ca else ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
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
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def reload(self) -> bool:
        """Read the files again if they have changed; say whether they had.

        Raises:
            ConfigError: they have, and cannot be used; the last good ones stay.
        """
        stamp = self._stamps()
        if stamp == self._stamp:
            return False
        self._current = self._load()
        self._stamp = stamp
        return True
