"""A webhook server that allows everything and remembers what it was asked: which reviews an API server sends at all."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.certificates import Authority


class Reviews:
    """What was asked: path, kind, name and operation."""

    def __init__(self, url: str, ca: bytes) -> None:
        self.url = url
        self.ca = ca
        self.seen: list[tuple[str, str, str, str]] = []

    def of(self, path: str) -> set[tuple[str, str, str]]:
        """Kind, name and operation of what came to a path."""
        return {(kind, name, operation) for where, kind, name, operation in self.seen if where == path}

    def take(self, path: str, review: dict[str, Any]) -> bytes:
        request = review["request"]
        self.seen.append((path, request["kind"]["kind"], request["name"], request["operation"]))
        response = {"uid": request["uid"], "allowed": True}
        return json.dumps({**review, "request": None, "response": response}).encode()


@contextmanager
def reviews(folder: Path) -> Iterator[Reviews]:
    """Serve on loopback over TLS."""
    authority = Authority("webhook CA")
    pair = authority.issue(folder, "webhook", hosts=("127.0.0.1",))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = taken.take(self.path.partition("?")[0], json.loads(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        taken = Reviews(
            f"https://127.0.0.1:{server.server_port}", authority.write(folder / "webhook-ca.pem").read_bytes()
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()


def redirected(configurations: Sequence[dict[str, Any]], to: Reviews) -> list[dict[str, Any]]:
    """The configurations with their Services replaced by a server on loopback."""
    for each in configurations:
        for webhook in each["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": to.url + path, "caBundle": base64.b64encode(to.ca).decode()}
    return list(configurations)
