"""Advice to cluster-autoscaler, from what this process knows. gRPC is imported when it is served, and not before."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from extender.core.model.reasons import Reason
from extender.core.placement.node_groups import NodeGroup, best_groups
from extender.core.policy.keys import CLASS
from extender.core.state.state import ClusterState
from extender.kube.seams import Report
from extender.runtime.grpc import hush
from extender.settings import Settings, split_address
from extender.telemetry.grpc import ApiMetrics

if TYPE_CHECKING:
    from extender.servers.grpc.expander import ExpanderServer
    from extender.servers.grpc.tls import RpcTls


class Expander:
    """The expander, served or not.

    Args:
        settings: the configuration.
        state: the cluster.
        report: told of faults.

    Attributes:
        tls: certificates; None where there are none.

    Raises:
        ConfigError: a certificate cannot be used.
    """

    def __init__(self, settings: Settings, state: ClusterState, report: Report) -> None:
        self._settings = settings
        self._state = state
        self._report = report
        self._server: ExpanderServer | None = None
        self.tls = self._certificate()

    def _certificate(self) -> "RpcTls | None":
        tls = self._settings.expander.tls
        if not (self._settings.expander.enabled and tls.cert):
            return None
        hush()
        from extender.servers.grpc.tls import RpcTls  # noqa: PLC0415 - see the module's docstring

        return RpcTls(tls.cert, tls.key, tls.client_ca)

    @property
    def address(self) -> str:
        """host:port that is listened on; empty when none is."""
        return "{}:{}".format(*self._server.address) if self._server is not None else ""

    async def start(self, metrics: ApiMetrics, obstacle: Callable[[], Reason | None]) -> None:
        """Serve, if the settings say so.

        Args:
            metrics: counts.
            obstacle: why this replica makes no decision now, None when it does.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        if not self._settings.expander.enabled:
            return
        hush()
        from extender.servers.grpc.calls import Calls  # noqa: PLC0415 - see the module's docstring
        from extender.servers.grpc.expander import ExpanderLimits, ExpanderServer, ExpanderService  # noqa: PLC0415

        def rank(groups: Sequence[NodeGroup]) -> Generator[None, None, Sequence[NodeGroup]]:
            # A replica that does not lead knows the cluster as well, once it knows it at all.
            if obstacle() in (Reason.NOT_SYNCED, Reason.NOT_WATCHED):
                return groups
            return (yield from best_groups(self._state, self._state.workloads.rules.classes, groups, time.time()))

        calls = Calls(metrics.answered, self._report, time.perf_counter)
        service = ExpanderService(rank, f"{self._settings.policy.prefixes[0]}/{CLASS}", calls, self._report)
        address = split_address(self._settings.expander.addr)
        self._server = ExpanderServer(service, address, ExpanderLimits(metrics.refused), self.tls)
        await self._server.start()

    async def stop(self) -> None:
        """Answer what is in flight, close."""
        if self._server is not None:
            await self._server.stop()
