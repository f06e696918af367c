"""The admission webhook of one process: its application over the cluster state, and its listener."""

import ssl
import time
from collections.abc import Callable

from extender.core.admission.mutate import Mutator
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState
from extender.runtime.leadership import Leadership
from extender.runtime.tracing import traced_app
from extender.servers.admission import PATIENCE, About, Admission
from extender.servers.connections import Connections
from extender.servers.owners import AwaitedOwners
from extender.servers.server import HttpServer, bind
from extender.servers.webhook import PATHS, WebhookApp
from extender.settings import Settings, split_address
from extender.settings.rules import mutation_rules
from extender.telemetry.logs import logger
from extender.telemetry.metrics import Metrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.telemetry.vocabulary import NAMESPACE, OUTCOME, POD, WORKLOAD, named


class Webhook:
    """The webhook's application and listener. It is the observer of its own application.

    Args:
        settings: the configuration.
        state: the cluster state.
        ensure: sees to it that owners of a kind are watched.
        leadership: says whether the cluster is known, and whether a replica leads, which takes gates off pods.
        context: of the listener, with the serving certificate.
        metrics: counts reviews.
        tracer: makes spans.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        settings: Settings,
        state: ClusterState,
        ensure: Callable[[OwnerRef], None],
        leadership: Leadership,
        context: ssl.SSLContext,
        metrics: Metrics,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self._settings = settings.webhook
        self._metrics = metrics
        self._tracer = tracer
        self._log = logger()
        # Its own: what holds up the scheduler is short of time, and nobody looks at this pod a second time.
        self.gate = AwaitedOwners(ensure, PATIENCE, time.monotonic)
        self._context = context
        from extender.runtime.injector import Injector  # noqa: PLC0415 - few processes have a webhook

        self._mutator = Mutator(state, mutation_rules(settings), lambda: leadership.led)
        self._injector = Injector(settings)
        self._admission = Admission(
            state,
            self.gate,
            lambda: leadership.obstacle() is not Reason.NOT_SYNCED,
            self._mutator,
            self._injector,
            self._settings.invalid_policies == "deny",
            time.monotonic,
        )

    def go_by(self, settings: Settings) -> None:
        """Go by other settings from now on, as far as they may change while it listens."""
        self._mutator.go_by(mutation_rules(settings))
        self._injector.go_by(settings)
        self._admission.go_by(deny=settings.webhook.invalid_policies == "deny")

    def listen(self, connections: Connections) -> HttpServer:
        """The server, listening; it is yet to be started.

        Args:
            connections: limits of the port's connections.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        app = WebhookApp(self._admission, self._settings.max_body, time.perf_counter, self)
        traced = traced_app(app, self._tracer, PATHS)
        return HttpServer(traced, bind(*split_address(self._settings.addr), "webhook.addr"), self._context, connections)

    def answered(self, verb: str, seconds: float) -> None:
        """See `AdmissionObserver`."""
        self._metrics.answered(verb, seconds)

    def admitted(self, verb: str, outcome: str, about: About) -> None:
        """See `AdmissionObserver`."""
        self._metrics.admitted(verb, outcome)
        if self._tracer.on:
            workload = named(about.kind, about.workload)
            self._tracer.current().note(
                {OUTCOME: outcome, WORKLOAD: workload, NAMESPACE: about.namespace, POD: about.pod}
            )

    def failed(self, verb: str, text: str, about: About) -> None:
        """See `AdmissionObserver`."""
        self._metrics.failed(verb)
        workload = named(about.kind, about.workload)
        self._log.warning(
            "review failed", verb=verb, workload=workload, namespace=about.namespace, pod=about.pod, error=text
        )
        if self._tracer.on:
            self._tracer.current().fail(text)
