"""A service that answers the gRPC API as a test says, in threads of its own."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from spotmix.placement.v1.placement_pb2_grpc import PlacementServiceServicer, add_PlacementServiceServicer_to_server
from support.certificates import KeyPair

METHODS = ("ListWorkloads", "GetWorkload", "ExplainPod", "PlanDrift", "Simulate", "WatchDecisions")


class RefusalError(Exception):
    """A status instead of an answer."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class FakeService(PlacementServiceServicer):
    """Gives the answers of each method in turn, the last one again and again.

    Args:
        token: what callers have to show; empty lets everybody in.

    Attributes:
        answers: by method.
        seen: method, request and the token that was shown, of each call.
    """

    def __init__(self, answers: Mapping[str, list[Any]], token: str = "") -> None:
        self.answers = dict(answers)
        self.seen: list[tuple[str, Any, str]] = []
        self._token = token
        for method in METHODS:
            setattr(self, method, partial(self._answer, method))

    def _answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        self.seen.append((method, request, str(shown)))
        if self._token and shown != f"Bearer {self._token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "show a token")
        given = self.answers[method]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, RefusalError):
            context.abort(answer.code, str(answer))
        return iter(answer) if isinstance(answer, list) else answer

    @contextlib.contextmanager
    def serving(
        self, address: str = "127.0.0.1:0", tls: KeyPair | None = None, client_ca: Path | None = None
    ) -> Iterator[str]:
        """Serve on an address, which is given; with TLS clients have to show a certificate if `client_ca` is given."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        add_PlacementServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # made by protoc
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            pairs = [(tls.key.read_bytes(), tls.cert.read_bytes())]
            authority = client_ca.read_bytes() if client_ca is not None else None
            credentials = grpc.ssl_server_credentials(pairs, authority, require_client_auth=authority is not None)
            port = server.add_secure_port(address, credentials)
        server.start()
        try:
            yield address if address.startswith("unix:") else f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
