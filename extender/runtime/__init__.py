"""Wires core, kube, servers and telemetry together: the only place that knows them all."""

import asyncio
import signal
import time
from collections.abc import Iterator

from extender.core.answers.decisions import DecisionLog
from extender.core.drift.gated import RoomForGated
from extender.core.placement.controller import PlacementController
from extender.core.placement.enforcement import enforced_in_all
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.rules import PolicyRules
from extender.core.policy.values import parse_duration
from extender.core.policy.workload import Workload
from extender.core.state.autoscaling import NODE_CLAIMS
from extender.core.state.events import Event, Reconfigured, Unavailable
from extender.core.state.intake import Intake
from extender.core.state.state import NODE_POOLS, POLICY_OBJECTS, ClusterState
from extender.kube.access import Access
from extender.kube.client import ApiClient
from extender.kube.incluster import own_namespace
from extender.kube.informers import ClusterFeed, FeedOptions
from extender.kube.paths import subject_of
from extender.kube.regarding import Regarding
from extender.kube.resources import AUTOSCALING, BUILT_IN, DRIFT_ONLY, PODS, POLICIES
from extender.runtime import allocator
from extender.runtime.autoscalers import AutoscalerSearch
from extender.runtime.certificates import Certificates
from extender.runtime.connections import PortConnections, raise_descriptors
from extender.runtime.decisions import Decisions
from extender.runtime.drift import Channels, Context, assemble, assemble_placeholders, drift_readings
from extender.runtime.duties import Duties, Work
from extender.runtime.expander import Expander
from extender.runtime.faults import SOURCES, Faults
from extender.runtime.gauges import cache_readings, process_readings, state_readings
from extender.runtime.grpc import GrpcApi, api_readings
from extender.runtime.intake import OwnerNews
from extender.runtime.leadership import Leadership
from extender.runtime.listeners import Listeners
from extender.runtime.nodes import NodeReports
from extender.runtime.placement import PlacementReports
from extender.runtime.policies import PolicyReports
from extender.runtime.policyobjects import GoingOn, PolicyStatuses
from extender.runtime.pulse import Pulse
from extender.runtime.reach import ReachReports
from extender.runtime.reloading import ReloadEvents, Reloading
from extender.runtime.scrape import Scrapes
from extender.runtime.sources import mode_of, sources
from extender.runtime.tracing import FLUSH_SECONDS, TracedApi
from extender.runtime.webhook import Webhook
from extender.runtime.writers import Writers
from extender.servers.answers.shared import SharedAnswers
from extender.servers.console import ConsoleApp
from extender.servers.extender import Extender
from extender.servers.http import HealthApp
from extender.servers.metricsaccess import GuardedMetrics
from extender.servers.owners import EARLY, AwaitedOwners, AwaitedPods
from extender.settings import ConfigSource, Settings
from extender.settings.rules import drift_options, rules_of
from extender.telemetry.logs import logger, show_from
from extender.telemetry.metrics import Metrics
from extender.telemetry.readings import Reading
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.wire.objects_v1 import Decoders

RELOAD_SECONDS = 5.0


def policy_rules(settings: Settings) -> PolicyRules:
    """How policies are read under these settings."""
    return rules_of(settings, own_namespace(), serves=True)


class Runtime:
    """One `spotmix serve`.

    Args:
        settings: the configuration.
        client: a connected API client; it is closed at the end.
        tracer: makes spans; it is closed at the end too.
        source: where a changed configuration comes from; without one nothing changes.

    Raises:
        ConfigError: a certificate cannot be used, or something about this process is needed and not known.
    """

    def __init__(
        self, settings: Settings, client: ApiClient, tracer: Tracer = NO_TRACES, source: ConfigSource | None = None
    ) -> None:
        self.settings = settings
        self.log = logger()
        followed = (*BUILT_IN, *DRIFT_ONLY, *POLICIES, *AUTOSCALING)
        self.metrics = Metrics((*(resource.key for resource in followed), *SOURCES))
        self._client = client
        client.observe = self._answered
        self._tracer = tracer
        self._report = Faults(self.metrics)
        self._stopping = False
        self._stale_after = parse_duration(settings.cache.stale_after)
        self.decisions = DecisionLog(settings.extender.decision_log)
        self.state = ClusterState(
            policy_rules(settings),
            parse_duration(settings.extender.reservation_ttl),
            parse_duration(settings.extender.interruption_half_life),
            parse_duration(settings.placement.node_startup),
        )
        self._decoders = decoders = Decoders(settings.classes, settings.policy.prefixes)
        self.feed = ClusterFeed(
            client,
            lambda resource: decoders.make(resource.key, resource.api_version, resource.kind, resource.size_path),
            self._sink,
            self._report,
            on_unavailable=self._unavailable,
            options=FeedOptions(
                policies=POLICIES, autoscaling=AUTOSCALING, absent=self._absent, page_size=settings.cache.page_size
            ),
        )
        self.leadership = Leadership(settings.leader_election, client, self.feed, self.state, self._report)
        self._search = AutoscalerSearch(client, self.state, self._sink, self.feed.ensure, self._report)
        self._access = Access(client)
        self._placement = PlacementController(
            self.state, settings.extender.max_candidates, best=not settings.scheduler_config.weight
        )
        self._writers = Writers(
            settings, client, self._placement, self.metrics, self._report, self._decides, self.decisions
        )
        recorder = self._writers.recorder
        self._decisions = Decisions(
            self.metrics,
            self.decisions,
            PlacementReports(self.state, recorder, self._writers.faults),
            self._writers.wakes.hasten,
            time.time,
            logged=settings.log.level == "debug",
            tracer=tracer,
        )
        self._policies = PolicyReports(self.state.workloads, recorder, self._decides)
        self._statuses = PolicyStatuses(self.state, client, self._decides, self._report)
        self._gate = AwaitedOwners(self.feed.ensure, parse_duration(settings.extender.owner_wait), time.monotonic)
        self._gates = [self._gate]
        self._early = AwaitedPods(EARLY, time.monotonic)
        self._certificates = Certificates(settings, client, self._report)
        self._connections = PortConnections(self.metrics)
        self._webhook = self._make_webhook()
        self._listeners = Listeners(settings, self._certificates, self._webhook, tracer, self._connections)
        self._intake = Intake(
            self.state,
            [
                OwnerNews(self.feed.ensure, self._gates).observe,
                self._placement.observe,
                self._writers.gates.observe,
                self._writers.pending.observe,
                self._writers.gate_watch.observe,
                self._writers.observe,
                GoingOn(self.state, self._sink).observe,
                self._statuses.observe,
                self._early.observe,
            ],
            [self._placement.observe, self._writers.gates.observe, self._writers.observe, self._policies.observe],
        )
        pods = decoders.make(PODS.key, PODS.api_version, PODS.kind)
        api = TracedApi(client, tracer) if tracer.on else client
        context = Context(api, pods.one, self.feed.health, self._decides, self._report)
        channels = Channels(recorder, self.metrics.drift, tracer, self._writers.faults)
        startup = parse_duration(settings.placement.node_startup)
        self._drift = assemble(settings.drift, self.state, context, channels, startup=startup)
        self._placeholders = assemble_placeholders(settings, self._drift, self.state, context, channels)
        self._writers.gates.prover = RoomForGated(self.state, self._drift.placeholders)
        self._shared = SharedAnswers(
            sources(
                settings.drift,
                state=self.state,
                decisions=self.decisions,
                drift=self._drift,
                health=self.feed.health,
                obstacle=self.leadership.obstacle,
                report=self._report,
                met=self._unshown,
            )
        )
        self._api = GrpcApi(settings.api, self._access)
        if self._api.tls is not None:
            self._certificates.follow("api", self._api.tls)
        self._expander = Expander(settings, self.state, self._report)
        if self._expander.tls is not None:
            self._certificates.follow("expander", self._expander.tls)
        self._pulse = Pulse(self._report)
        self.reloading = Reloading(
            settings, source or ConfigSource(lambda: settings), self._take_up, self.metrics.reloaded
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._scrapes = Scrapes(
            self.state, self.metrics, self._readings, settings.metrics.workload_series, self._uncounted
        )

    def _sink(self, event: Event) -> None:
        self._intake.take(event, time.time())

    def _unavailable(self, group: str, kind: str, why: str) -> None:
        if (group, kind) not in self.state.workloads.unavailable:
            self.log.warning("owners of this kind cannot be watched", kind=kind, group=group, error=why)
        self._sink(Unavailable(group, kind))

    def _absent(self, key: str, why: str) -> None:
        if key in POLICY_OBJECTS:
            self.log.info("policy objects of this kind are not followed", source=key, error=why)
        else:
            self.log.info("what autoscalers say by this is not followed", source=key, error=why)

    def _blind(self, owner: Managed | Missing) -> bool:
        if self.feed.sees_all(self._stale_after) and isinstance(owner, Managed):
            return False
        return self.feed.blind(self.state.workloads.kinds_behind(owner), self._stale_after)

    def _uncounted(self, workload: Workload, error: str) -> None:
        self._writers.faults.met("count", Regarding.of(workload), error)

    def _unshown(self, workload: Workload, error: str) -> None:
        self._writers.faults.met("answer", Regarding.of(workload), error)

    def _decides(self) -> bool:
        return self.leadership.decides

    def _readings(self) -> Iterator[Reading]:
        yield from process_readings(self.leadership.leads, self._certificates.ends(), self._pulse.longest())
        yield from self._connections.readings()
        yield from self.reloading.readings()
        yield from cache_readings(self.feed.health(), time.monotonic())
        yield from state_readings(self.state, self._writers.gate_watch.longest(time.time()))
        yield from api_readings(self._api.watches)
        yield from drift_readings(self._drift, self.state, time.time())

    def _make_webhook(self) -> Webhook | None:
        context = self._certificates.webhook
        if context is None:
            return None
        webhook = Webhook(
            self.settings,
            self.state,
            self.feed.ensure,
            self.leadership,
            context,
            self.metrics,
            self._tracer,
        )
        self._gates.append(webhook.gate)
        return webhook

    # The configuration

    def _take_up(self, settings: Settings) -> None:
        """Go by other settings, as far as they may change while all runs: those that are `RELOADED`."""
        before, self.settings = self.settings, settings
        show_from(settings.log.level)
        self._decisions.logged = settings.log.level == "debug"
        self._stale_after = parse_duration(settings.cache.stale_after)
        self._gate.go_by(parse_duration(settings.extender.owner_wait))
        self._scrapes.go_by(settings.metrics.workload_series)
        self._placement.go_by(settings.extender.max_candidates, best=not settings.scheduler_config.weight)
        self._writers.go_by(settings)
        startup = parse_duration(settings.placement.node_startup)
        self._drift.go_by(drift_options(settings.drift), startup)
        drifting = self._shared.sources.drifting
        drifting.mode, drifting.rules = mode_of(settings.drift), self._drift.rules
        if self._webhook is not None:
            self._webhook.go_by(settings)
        self._sink(
            Reconfigured(
                policy_rules(settings),
                parse_duration(settings.extender.reservation_ttl),
                parse_duration(settings.extender.interruption_half_life),
                startup,
            )
        )
        if before.classes != settings.classes:
            self._decoders.go_by(settings.classes)
            self.feed.list_anew(("nodes", NODE_CLAIMS, NODE_POOLS))

    # Readiness and metrics

    def _answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """The API server answered."""
        subject = subject_of(path)
        self.metrics.apiserver.answered(method, subject.resource, status, seconds, named=subject.named)

    def not_ready(self) -> list[str]:
        """What is not ready, a line each."""
        faults = ["shutting down"] if self._stopping else []
        faults += self.feed.faults(self._stale_after)
        faults += self.leadership.faults()
        faults += self._certificates.faults(time.time())
        return faults

    def detail(self) -> list[str]:
        """What there is to say while all is ready, a line each: how classes are enforced, where pods can be gated."""
        gates = self.settings.webhook.enabled
        return [f"enforcement {each.text}" for each in enforced_in_all(self.state)] if gates else []

    # Life

    async def start(self) -> None:
        """Listen, follow the cluster, answer.

        Raises:
            ConfigError: an address cannot be listened on.
        """
        extender = Extender(
            self._placement,
            self._gate,
            self._decisions,
            self.leadership.obstacle,
            time.time,
            blind=self._blind,
            early=self._early.wait,
        )
        pages = self._with_console(self._guarded(HealthApp(self.not_ready, self._scrapes.render, self.detail)))
        await self._listeners.start(extender, pages, self.metrics, self.leadership.stays)
        await self._api.start(self._shared, self.metrics.api, lambda: not self.not_ready())
        await self._expander.start(self.metrics.api, self.leadership.obstacle)
        self.feed.start()
        self._writers.start()
        self.leadership.start()
        self._tasks = [
            asyncio.create_task(self._pulse.run(), name="pulse"),
            asyncio.create_task(self._become_synced(), name="sync"),
            asyncio.create_task(self._reload_certificates(), name="certificates"),
            asyncio.create_task(
                self.reloading.run(ReloadEvents(self.state, self._writers.recorder, self._decides)),
                name="configuration",
            ),
            asyncio.create_task(self._search.run(), name="autoscalers"),
            asyncio.create_task(self._writers.wakes.run(), name="placement"),
            asyncio.create_task(self._writers.gate_news.run(), name="gate news"),
        ]
        for server, own in self._certificates.own.items():
            self._tasks.append(asyncio.create_task(own.run(), name=f"{server} certificate"))
        self.log.info(
            "serving",
            extender="{}:{}".format(*self._listeners.extender),
            metrics="{}:{}".format(*self._listeners.metrics),
            tls=self._certificates.extender is not None,
            webhook=self._listeners.webhook,
            api=self._api.address,
            expander=self._expander.address,
        )

    def _guarded(self, app: HealthApp) -> HealthApp | GuardedMetrics:
        guarded = self.settings.metrics.auth == "kubernetes"
        return GuardedMetrics(app, self._access, self._report) if guarded else app

    def _with_console(self, app: HealthApp | GuardedMetrics) -> HealthApp | GuardedMetrics | ConsoleApp:
        if not self.settings.console.enabled:
            return app
        access = self._access if self.settings.console.auth == "kubernetes" else None
        return ConsoleApp(self._shared, app, access)

    async def _become_synced(self) -> None:
        started = time.monotonic()
        await self.feed.wait_synced()
        self.state.runs.synced()
        await self._search.look()
        allocator.settle()
        writers = self._writers
        work: dict[str, Work] = {
            "policies": self._policies.run,
            "policy statuses": self._statuses.run,
            "reach": ReachReports(self.state, writers.recorder).run,
            "nodes": NodeReports(self.state, writers.recorder).run,
            "seats": writers.write_seats,
            "gates": writers.release,
            "pending": writers.replace,
        }
        if self._drift.placeholders.on:
            work["placeholders"] = self._placeholders.run
        if self.settings.drift.enabled:
            work["drift"] = self._drift.run
        self.leadership.synced(Duties(self._placement, writers.wakes, work))
        self.log.info(
            "synced",
            seconds=round(time.monotonic() - started, 3),
            nodes=len(self.state.nodes),
            pods=len(self.state.pods),
            workloads=len(self.state.workloads.by_uid),
        )

    async def _reload_certificates(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self._certificates.reload()

    async def stop(self) -> None:
        """Not ready any more, hand over, answer what is in flight, send what waits, end."""
        self._stopping = True
        self.log.info("stopping")
        await self._writers.tell()
        await self._placeholders.leave()
        await self.leadership.resign()
        await self._listeners.stop_deciding()
        await self._api.stop()
        await self._expander.stop()
        self._placement.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writers.drain()
        await self.feed.stop()
        await self._listeners.stop()
        await self._client.close()
        await self._tracer.close(FLUSH_SECONDS)
        self.log.info("stopped")


async def serve(settings: Settings, tracer: Tracer = NO_TRACES, source: ConfigSource | None = None) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP has the configuration read anew.

    Args:
        settings: the configuration.
        tracer: makes spans; it is closed at the end.
        source: where a changed configuration comes from.

    Raises:
        ConfigError: the kubeconfig, an address or a certificate cannot be used.
    """
    raise_descriptors()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = await ApiClient.connect(settings.kubeconfig or None, settings.context or None)
    try:
        runtime = Runtime(settings, client, tracer, source)
        loop.add_signal_handler(signal.SIGHUP, runtime.reloading.ask)
        allocator.prepare()
        await runtime.start()
    except BaseException:
        await client.close()
        raise
    await stop.wait()
    await runtime.stop()
