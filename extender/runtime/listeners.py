"""The HTTP servers of one process: the extender's, the webhook's, and that of health, metrics and the console."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from extender.runtime.certificates import Certificates
from extender.runtime.connections import PortConnections
from extender.runtime.tracing import traced_app
from extender.runtime.webhook import Webhook
from extender.servers.console import ConsoleApp
from extender.servers.extender import Extender
from extender.servers.http import ExtenderApp
from extender.servers.metricsaccess import App
from extender.servers.server import HttpServer, bind
from extender.settings import Settings, split_address
from extender.telemetry.metrics import Metrics
from extender.telemetry.traces import Tracer

VERBS = ("filter", "prioritize")


class Listeners:
    """Opens and closes the HTTP servers in order.

    Args:
        settings: the configuration.
        certificates: what the servers show.
        webhook: None when it is off.
        tracer: makes spans.
        connections: limits of the ports.

    Attributes:
        extender: host and port of the extender.
        metrics: host and port of health, metrics and the console.
        webhook: host:port of the webhook; empty when it is off.
    """

    def __init__(
        self,
        settings: Settings,
        certificates: Certificates,
        webhook: Webhook | None,
        tracer: Tracer,
        connections: PortConnections,
    ) -> None:
        self._settings = settings
        self._certificates = certificates
        self._hook = webhook
        self._tracer = tracer
        self._connections = connections
        self._servers: list[HttpServer] = []
        self._pages: App | None = None
        self.extender = self.metrics = ("", 0)
        self.webhook = ""

    async def start(
        self,
        extender: Extender,
        pages: App,
        metrics: Metrics,
        stays: Callable[[], bool],
    ) -> None:
        """Listen on all addresses, then answer.

        Args:
            extender: answers the scheduler.
            pages: the application of health and metrics, behind the console if there is one.
            metrics: times the extender's answers.
            stays: whether schedulers shall keep their connections.

        Raises:
            ConfigError: an address cannot be listened on.
        """
        settings = self._settings.extender
        prefix = "/" + settings.url_prefix.strip("/")
        app = ExtenderApp(extender, settings.max_body, prefix, time.perf_counter, metrics.answered, stays)
        of = self._connections.of
        with contextlib.ExitStack() as opened:
            listener = opened.enter_context(bind(*split_address(settings.addr), "extender.addr"))
            health_listener = opened.enter_context(bind(*split_address(self._settings.metrics.addr), "metrics.addr"))
            webhook = [self._hook.listen(of("webhook"))] if self._hook is not None else []
            opened.pop_all()
        traced = traced_app(app, self._tracer, {f"{prefix}/{verb}": verb for verb in VERBS})
        front = HttpServer(traced, listener, self._certificates.extender, of("extender"))
        health = HttpServer(pages, health_listener, self._certificates.metrics, of("metrics"))
        self._pages = pages
        self._servers = [front, *webhook, health]
        for server in self._servers:
            await server.start()
        self.extender, self.metrics = front.address, health.address
        self.webhook = "{}:{}".format(*webhook[0].address) if webhook else ""

    async def stop_deciding(self) -> None:
        """Answer what the scheduler and the API server have asked, and close to them; health stays."""
        await asyncio.gather(*(server.stop() for server in self._servers[:-1]))

    async def stop(self) -> None:
        """Close to everybody."""
        if isinstance(self._pages, ConsoleApp):
            self._pages.stop()
        for server in self._servers[-1:]:
            await server.stop()
