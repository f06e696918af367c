"""grpc.aio, set up for a service inside of a cluster: bounded calls and messages, dead peers are found."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from extender.core.model.errors import ConfigError
from extender.servers.grpc.health import HealthService
from extender.servers.grpc.limits import CONNECTIONS, STREAMS, Allowances, CallLimits, Entrance
from extender.servers.grpc.service import PlacementService
from extender.servers.grpc.tls import RpcTls
from extender.servers.grpc.watches import Watches
from spotmix.placement.v1 import placement_pb2 as pb
from spotmix.placement.v1.placement_pb2_grpc import add_PlacementServiceServicer_to_server

SERVICE = pb.DESCRIPTOR.services_by_name["PlacementService"].full_name
GRACE = 2.0
"""Seconds that calls in flight have to end."""

MOST_BYTES = 256 * 1024
"""Requests to the API are small."""

OPTIONS: Sequence[tuple[str, Any]] = (
    # A second process on the same port is a mistake, and has to be told.
    ("grpc.so_reuseport", 0),
    # A token may be long.
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.max_concurrent_streams", STREAMS),
    ("grpc.max_allowed_incoming_connections", CONNECTIONS),
    # One that has not said hello in time, and one by which nothing is asked for long, makes room for others.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # A peer that is gone is found within 80 s, also one that only listens.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Callers may do likewise, every 10 s at most.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 3),
)


def open_server(limits: Allowances, most_bytes: int) -> grpc.aio.Server:
    """A server that serves nothing yet; requests of more than `most_bytes` are refused."""
    options = (*OPTIONS, ("grpc.max_receive_message_length", most_bytes))
    return grpc.aio.server(options=options, interceptors=[Entrance(limits)])


def listen(server: grpc.aio.Server, address: tuple[str, int], tls: RpcTls | None, setting: str) -> int:
    """Open the port of an address, named by `setting`; the port, where 0 took any.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    host, port = address
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return server.add_secure_port(where, tls.credentials) if tls is not None else server.add_insecure_port(where)
    except RuntimeError as error:
        raise ConfigError(f"{setting} {where} cannot be listened on; choose another with {setting}") from error


class RpcServer:
    """The API on one address.

    Args:
        service: answers.
        watches: those who follow decisions; they are let go on `stop`.
        ready: whether the process is ready, for the health service.
        address: host:port; port 0 takes any.
        limits: what callers may take.
        tls: certificates; None serves without TLS.
    """

    def __init__(
        self,
        service: PlacementService,
        watches: Watches,
        ready: Callable[[], bool],
        address: tuple[str, int],
        *,
        limits: CallLimits,
        tls: RpcTls | None = None,
    ) -> None:
        self._service = service
        self._watches = watches
        self._host, self._port = address
        self._tls = tls
        self._limits = limits
        self._health = HealthService(ready, SERVICE)
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        return self._host, self._port

    async def start(self) -> None:
        """Serve from now on.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        server = open_server(self._limits, MOST_BYTES)
        add_PlacementServiceServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]  # made by protoc
        add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server)
        self._port = listen(server, self.address, self._tls, "api.addr")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Take no more calls, let those go that follow decisions, answer the others, close."""
        self._health.stopping = True
        self._watches.stop()
        if self._server is not None:
            await self._server.stop(GRACE)
