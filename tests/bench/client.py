"""One keep-alive connection on a blocking socket: as little of a client as can be, the same for every server."""

import socket
from types import TracebackType
from typing import Self


class Connection:
    """POSTs bodies to one server, one at a time, and reads answers with a Content-Length.

    Args:
        url: `http://host:port/prefix`.
    """

    def __init__(self, url: str) -> None:
        address, _, prefix = url.removeprefix("http://").partition("/")
        host, _, port = address.partition(":")
        self._prefix = f"/{prefix}" if prefix else ""
        self._host = address
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def message(self, path: str, body: bytes) -> bytes:
        """A whole request, as kube-scheduler writes it."""
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        return head.encode() + body

    def exchange(self, message: bytes) -> bytes:
        """Send a request and return the answer's body.

        Raises:
            OSError: the answer is none, or not a 200.
        """
        self._socket.sendall(message)
        data = self._socket.recv(262144)
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self._more()
            end = data.find(b"\r\n\r\n")
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise OSError(f"the server answered {head[:60]!r}")
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = data[end + 4 :]
        if len(body) == length:
            return body
        pieces, size = [body], len(body)
        while size < length:
            pieces.append(self._more())
            size += len(pieces[-1])
        return b"".join(pieces)

    def _more(self) -> bytes:
        data = self._socket.recv(262144)
        if not data:
            raise OSError("the server closed the connection")
        return data
