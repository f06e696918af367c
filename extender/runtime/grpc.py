"""The gRPC API of this process. gRPC is imported when the API is served, and not before."""

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from extender.servers.answers.shared import SharedAnswers
from extender.servers.answers.sources import Authorizer
from extender.settings import split_address
from extender.settings.sections.ports import ApiSettings
from extender.telemetry import catalogue as families
from extender.telemetry.grpc import ApiMetrics
from extender.telemetry.readings import Reading

if TYPE_CHECKING:
    from extender.servers.grpc.server import RpcServer
    from extender.servers.grpc.tls import RpcTls
    from extender.servers.grpc.watches import Watches


class GrpcApi:
    """The API, served or not.

    Args:
        settings: of the API.
        authorizer: asks Kubernetes who may see what; used when the settings say so.

    Attributes:
        tls: certificates; None where there are none.

    Raises:
        ConfigError: a certificate cannot be used.
    """

    def __init__(self, settings: ApiSettings, authorizer: Authorizer) -> None:
        self._settings = settings
        self._authorizer = authorizer if settings.auth == "kubernetes" else None
        self._server: RpcServer | None = None
        self._watches: Watches | None = None
        self.tls = self._certificate()

    def _certificate(self) -> "RpcTls | None":
        tls = self._settings.tls
        if not (self._settings.enabled and tls.cert):
            return None
        hush()
        from extender.servers.grpc.tls import RpcTls  # noqa: PLC0415 - see the module's docstring

        return RpcTls(tls.cert, tls.key, tls.client_ca)

    @property
    def watches(self) -> int:
        """Callers that follow decisions."""
        return len(self._watches) if self._watches is not None else 0

    @property
    def address(self) -> str:
        """host:port that is listened on; empty when none is."""
        return "{}:{}".format(*self._server.address) if self._server is not None else ""

    async def start(self, shared: SharedAnswers, metrics: ApiMetrics, ready: Callable[[], bool]) -> None:
        """Serve, if the settings say so.

        Args:
            shared: the overview and the plan, and what there is to tell of.
            metrics: counts.
            ready: whether the process is ready.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        if not self._settings.enabled:
            return
        hush()
        from extender.servers.grpc.calls import Calls, Door  # noqa: PLC0415 - likewise
        from extender.servers.grpc.limits import CallLimits  # noqa: PLC0415 - likewise
        from extender.servers.grpc.replies import Replies  # noqa: PLC0415 - see the module's docstring
        from extender.servers.grpc.server import RpcServer  # noqa: PLC0415 - likewise
        from extender.servers.grpc.service import PlacementService  # noqa: PLC0415 - likewise
        from extender.servers.grpc.watches import Watches  # noqa: PLC0415 - likewise

        sources, limits = shared.sources, CallLimits(metrics.refused)
        self._watches = Watches(sources.decisions, sources.obstacle, limits.followers(self._settings.max_watches))
        service = PlacementService(
            Replies(shared),
            self._watches,
            Door(sources.obstacle, self._authorizer, limits),
            Calls(metrics.answered, sources.report, time.perf_counter),
            shared.pace,
        )
        address = split_address(self._settings.addr)
        self._server = RpcServer(service, self._watches, ready, address, limits=limits, tls=self.tls)
        await self._server.start()

    async def stop(self) -> None:
        """Answer what is in flight, let those go that follow decisions, close."""
        if self._server is not None:
            await self._server.stop()


def hush() -> None:
    """Have gRPC's own lines asked for: a log of ours is no place for handshakes that fail."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def api_readings(watches: int) -> Iterator[Reading]:
    """Of the API; `watches` callers follow decisions."""
    yield Reading(families.API_WATCHES, {(): watches})
