"""Serving certificates in the form that gRPC takes, exchanged without a restart or a dropped connection.

gRPC asks for them at every handshake, on a thread of its own.
"""

from pathlib import Path
from typing import Any

import grpc

from extender.servers.tls import MemoryTls, ReloadingTls


class RpcTls(ReloadingTls):
    """Certificate, key and client CA that follow their files.

    Args:
        cert: PEM file of the certificate chain.
        key: PEM file of the private key.
        client_ca: PEM file of the CA that clients must show a certificate of; empty asks for none.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, cert: str, key: str, client_ca: str = "") -> None:
        super().__init__(cert, key, client_ca)
        self._verifies = bool(client_ca)
        self._behind = False
        self._served = self._given = self._read()

    @property
    def credentials(self) -> grpc.ServerCredentials:
        """For a server; they stay the same."""
        # The stubs do not know that None keeps what there is.
        newer: Any = self._newer
        return grpc.dynamic_ssl_server_credentials(self._given, newer, self._verifies)

    def reload(self) -> bool:
        """Read the files again if they have changed; say whether they had.

        Raises:
            ConfigError: they have, and cannot be used; the last good ones stay.
        """
        changed = super().reload()
        if not (changed or self._behind):
            return False
        # They may change once more between two looks: what does not fit is read again.
        self._behind = True
        self._served = self._read()
        self._behind = False
        return True

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        served = self._served
        if served is self._given:
            return None
        self._given = served
        return served

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key, client_ca = (Path(file).read_bytes() if file else None for file in self._files)
        MemoryTls().load(cert or b"", key or b"")
        return grpc.ssl_server_certificate_configuration([(key or b"", cert or b"")], client_ca)
