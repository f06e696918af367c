"""The sections of the configuration file: each setting with its kind, default and effect; the webhook's are apart.

The docstring of a section is its heading in `spotmix serve --help` and in the reference; the text of a setting is its
description there. Both have to be understood alone.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from extender.core.model.classes import ClassRules
from extender.settings.certificates import OwnCertificateSettings
from extender.settings.selectors import Selector
from extender.settings.values import (
    ADDRESS,
    BYTES,
    CONTEXT,
    DNS_NAME,
    FILE,
    HOST,
    IDENTITY,
    IMAGE,
    IN_PERCENT,
    NAME,
    PATH,
    PEM,
    PERCENT,
    RELOADED,
    SOME_DNS_NAME,
    URL,
    WEIGHT,
    Section,
    doc,
    duration,
)
from extender.settings.webhook_sections import WebhookSettings


class TlsSettings(Section, frozen=True):
    """HTTPS of the scheduler extender. The files are read again when they change."""

    cert: Annotated[
        str, doc("PEM file of the extender's serving certificate; empty serves plain HTTP", FILE, "tls-cert")
    ] = ""
    key: Annotated[str, doc("PEM file of the private key of the extender's certificate", FILE, "tls-key")] = ""
    client_ca: Annotated[
        str,
        doc(
            "PEM file of the CA that must have signed the certificates of the extender's clients; "
            "empty asks clients for no certificate",
            FILE,
            "client-ca",
        ),
    ] = ""


class ExtenderCertificateSettings(OwnCertificateSettings, frozen=True):
    """The extender's certificate and one for its clients, where Spotmix makes both and renews them by itself.

    Whoever calls the extender then has to show a certificate of the CA.
    """


class ExtenderSettings(Section, frozen=True):
    """The scheduler extender, which kube-scheduler calls for every pod it places."""

    addr: Annotated[str, doc("Address that the extender listens on", ADDRESS)] = "0.0.0.0:8888"
    url_prefix: Annotated[
        str, doc("Path before /filter and /prioritize in the URLs that the scheduler calls", PATH)
    ] = "/scheduler"
    max_body: Annotated[
        int,
        doc(
            "Largest request about a managed pod that the extender accepts, in bytes. For pods that are not managed, "
            "larger ones pass: so much may the nodes in them take when compressed",
            BYTES,
        ),
        Meta(ge=1024),
    ] = 16 * 1024 * 1024
    max_candidates: Annotated[
        int,
        doc(
            "Most nodes that the scheduler is left to choose from for a managed pod, spread over node pools; "
            "0 leaves all nodes of the pod's class"
        ),
        Meta(ge=0),
        RELOADED,
    ] = 100
    owner_wait: Annotated[
        str,
        duration(
            "How long a decision waits for a pod's owner, such as its ReplicaSet, that the API server has not reported "
            "yet"
        ),
        RELOADED,
    ] = "0.1s"
    reservation_ttl: Annotated[
        str,
        duration(
            "How long the place of an evicted replica in the split is held for the pod that replaces it. For a pod "
            "that was decided on it is held until it is bound or gone, or for 5 s where the API server never reports it"
        ),
        RELOADED,
    ] = "15m"
    decision_log: Annotated[
        int,
        doc(
            "How many of the last decisions on managed pods are kept in memory, at about 480 bytes each, for `spotmix "
            "watch` and `explain`; 0 keeps none"
        ),
        Meta(ge=0, le=1_000_000),
    ] = 10_000
    interruption_half_life: Annotated[
        str, duration("Time after which an interruption of a spot pool counts half as much against that pool"), RELOADED
    ] = "1h"
    tls: TlsSettings = field(default_factory=TlsSettings)
    certificates: ExtenderCertificateSettings = field(default_factory=ExtenderCertificateSettings)


class MetricsTlsSettings(Section, frozen=True):
    """HTTPS of health, metrics and the web console. The files are read again when they change."""

    cert: Annotated[
        str,
        doc("PEM file of the serving certificate of health, metrics and console; empty serves plain HTTP", FILE),
    ] = ""
    key: Annotated[str, doc("PEM file of the private key of the certificate of health, metrics and console", FILE)] = ""


class MetricsSettings(Section, frozen=True):
    """Health and metrics, for the kubelet and Prometheus."""

    addr: Annotated[
        str, doc("Address that serves /livez, /readyz and /metrics, and the web console at /console", ADDRESS)
    ] = "0.0.0.0:8080"
    workload_series: Annotated[
        int,
        doc(
            "Most workloads that have metric series of their own, the oldest first; 0 gives none any. Sums over all "
            "workloads are always there"
        ),
        Meta(ge=0),
        RELOADED,
    ] = 2000
    tls: MetricsTlsSettings = field(default_factory=MetricsTlsSettings)
    auth: Annotated[
        Literal["none", "kubernetes"],
        doc(
            "Who may read /metrics: none lets in whoever can reach it; kubernetes wants a token, asks the API server "
            "whose it is, and whether its owner may get the path /metrics. Health stays open"
        ),
    ] = "none"


class ConsoleSettings(Section, frozen=True):
    """The web console, at /console on the address of the metrics."""

    enabled: Annotated[bool, doc("Serve the web console, which shows workloads, pods and nodes")] = True
    auth: Annotated[
        Literal["none", "kubernetes"],
        doc(
            "Who may see the console: none shows it to whoever can reach it; kubernetes wants a token, asks the API "
            "server whose it is, and shows what its owner may see"
        ),
    ] = "none"


class ApiTlsSettings(Section, frozen=True):
    """TLS of the gRPC API. The files are read again when they change."""

    cert: Annotated[str, doc("PEM file of the API's serving certificate; empty serves without TLS", FILE)] = ""
    key: Annotated[str, doc("PEM file of the private key of the API's certificate", FILE)] = ""
    client_ca: Annotated[
        str,
        doc(
            "PEM file of the CA that must have signed the certificates of the API's clients; "
            "empty asks clients for no certificate",
            FILE,
        ),
    ] = ""


class ApiSettings(Section, frozen=True):
    """The gRPC API, which tells programs what Spotmix knows and decides. Nothing can be changed through it."""

    enabled: Annotated[bool, doc("Serve the gRPC API")] = True
    addr: Annotated[str, doc("Address that the gRPC API listens on", ADDRESS)] = "0.0.0.0:9444"
    tls: ApiTlsSettings = field(default_factory=ApiTlsSettings)
    auth: Annotated[
        Literal["none", "kubernetes"],
        doc(
            "Who may call the API: none lets in whoever can reach it; kubernetes lets in those whose bearer token the "
            "API server accepts and who may see resources of placement.spotmix.io. Serve by TLS where tokens are sent"
        ),
    ] = "none"
    max_watches: Annotated[
        int,
        doc(
            "Most callers that follow decisions at the same time, of which one caller has half; 100 calls of other "
            "kinds may run beside them"
        ),
        Meta(ge=0),
    ] = 16


class ExpanderTlsSettings(Section, frozen=True):
    """TLS of that advice: cluster-autoscaler speaks nothing else. The files are read again when they change."""

    cert: Annotated[
        str, doc("PEM file of the serving certificate; empty serves without TLS, for a proxy that adds it", FILE)
    ] = ""
    key: Annotated[str, doc("PEM file of the private key of that certificate", FILE)] = ""
    client_ca: Annotated[
        str,
        doc(
            "PEM file of the CA that must have signed the certificates of clients; empty asks for none, as "
            "cluster-autoscaler has none to show",
            FILE,
        ),
    ] = ""


class ExpanderSettings(Section, frozen=True):
    """Advice to cluster-autoscaler, whose expander `grpc` asks which of the node groups that would do are the best."""

    enabled: Annotated[bool, doc("Serve cluster-autoscaler's gRPC expander")] = False
    addr: Annotated[str, doc("Address that the expander listens on", ADDRESS)] = "0.0.0.0:9445"
    tls: ExpanderTlsSettings = field(default_factory=ExpanderTlsSettings)


class LogSettings(Section, frozen=True):
    """Logs, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        doc("Least severe level that is logged; debug has a line for each decision on a managed pod"),
        RELOADED,
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        doc("Format of log lines: json for programs, console for people, auto for console on a terminal, else json"),
    ] = "auto"


class CacheSettings(Section, frozen=True):
    """The copy of the cluster's objects that Spotmix keeps by watching the API server."""

    page_size: Annotated[
        int, doc("How many objects are asked for at a time when a kind of object is listed"), Meta(ge=1, le=5000)
    ] = 200
    stale_after: Annotated[
        str,
        duration("Report not ready and decide nothing when nothing was heard of a kind of object for longer"),
        RELOADED,
    ] = "3m"


class ScaleInSettings(Section, frozen=True):
    """What keeps the split when a workload becomes smaller."""

    deletion_cost: Annotated[
        bool,
        doc(
            "Write the annotation pod-deletion-cost on pods of ReplicaSets, so that scaling in removes the pods that "
            "the smaller split does not need; a cost that somebody else has set stays"
        ),
    ] = True
    settle: Annotated[
        str, duration("How long a revision must have been unchanged before the costs of its pods are written"), RELOADED
    ] = "2s"
    rate: Annotated[float, doc("Most deletion costs that are written in a second"), Meta(gt=0), RELOADED] = 50.0


class LeaderElectionSettings(Section, frozen=True):
    """Which of several replicas of Spotmix decides. Times mean what they mean in client-go, and have its defaults."""

    enabled: Annotated[
        bool, doc("Run as one of several replicas, of which the one that holds a Lease makes the decisions")
    ] = False
    name: Annotated[str, doc("Name of the Lease", NAME), SOME_DNS_NAME] = "spotmix"
    namespace: Annotated[
        str, doc("Namespace of the Lease; empty takes the pod's own ($POD_NAMESPACE)", NAME), DNS_NAME
    ] = ""
    identity: Annotated[
        str,
        doc("What this replica is called in the Lease; empty takes $POD_NAME, else host name and process id", IDENTITY),
    ] = ""
    lease_duration: Annotated[
        str, duration("How long other replicas wait, after the leader's last renewal, before one takes the lead")
    ] = "15s"
    renew_deadline: Annotated[
        str, duration("How long the leader goes on deciding while its renewals of the Lease fail")
    ] = "10s"
    retry_period: Annotated[str, duration("Time between two attempts to get or renew the Lease")] = "2s"


class PlacementSettings(Section, frozen=True):
    """How the class of a pod is enforced; and pods with their class written on them, which wait for a node of it."""

    enforcement: Annotated[
        Literal["auto", "affinity", "extender"],
        doc(
            "What holds where a policy does not say spotmix.io/enforcement: affinity writes the class on "
            "each pod, extender has the scheduler extender keep it, auto writes it where an autoscaler is seen or "
            "the pod's scheduler does not ask the extender"
        ),
        RELOADED,
    ] = "auto"
    asking_schedulers: Annotated[
        tuple[str, ...],
        doc(
            "Schedulers that ask the extender, as far as is known before they have: with auto their pods get no class "
            "written, unless an autoscaler is seen or they turn out not to ask"
        ),
        RELOADED,
    ] = ()
    node_startup: Annotated[
        str,
        duration(
            "How long a pod waits for a node that an autoscaler launches for it; without an autoscaler's word it waits "
            "for fallback-after alone, or for 3m"
        ),
        RELOADED,
    ] = "10m"
    replace_pending: Annotated[
        bool,
        doc(
            "Delete pods whose class cannot be had and that never had a node, where their owner makes them anew, so "
            "that their replacements go to a class that may stand in; false lets them wait"
        ),
        RELOADED,
    ] = True
    release_rate: Annotated[
        float,
        doc(
            "Most pods in a second on which the class is written and whose gate is taken away, twice as many in a burst"
        ),
        Meta(gt=0),
        RELOADED,
    ] = 1000.0
    releases_in_flight: Annotated[
        int,
        doc(
            "Most of these patches that wait for an answer at the same time; where they are too many for the API "
            "server, its priority and fairness has them wait"
        ),
        Meta(ge=1, le=80),
    ] = 32


class DriftSettings(Section, frozen=True):
    """The drift loop, which evicts pods so that workloads come back to the split that their owners asked for."""

    enabled: Annotated[bool, doc("Move pods when a class of nodes holds more of a workload than its split says")] = True
    read_only: Annotated[
        bool,
        doc(
            "Dry run: plan moves and report them, ask the API server with dryRun whether it would evict, change nothing"
        ),
        RELOADED,
    ] = False
    interval: Annotated[
        str,
        duration("How often every workload is looked at, also when nothing about it has changed; at least 5s"),
        RELOADED,
    ] = "30s"
    min_pod_age: Annotated[str, duration("Pods younger than this are not moved"), RELOADED] = "2m"
    dwell: Annotated[
        str,
        duration("How long a node must have been Ready, and not about to go away, before pods are moved to it"),
        RELOADED,
    ] = "5m"
    max_moves_per_hour: Annotated[
        int,
        doc("Most moves of a workload in an hour, where its annotation max-moves-per-hour says nothing"),
        Meta(ge=0, le=10_000),
        RELOADED,
    ] = 6
    max_moves_in_flight: Annotated[
        int,
        doc(
            "Most moves in the whole cluster at the same time; a move lasts until the old pod has ended and its "
            "replacement is Ready"
        ),
        Meta(ge=1, le=10_000),
        RELOADED,
    ] = 10
    workload_in_flight: Annotated[
        int,
        doc("Most moves of one workload at the same time, in percent of its replicas; one is always allowed", PERCENT),
        IN_PERCENT,
        RELOADED,
    ] = 10
    max_unavailable: Annotated[
        int,
        doc(
            "Most pods of a workload that may be unavailable, the moved one included, in percent of its replicas; one "
            "is always allowed",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 5
    drain_on_interruption: Annotated[
        bool,
        doc(
            "Evict the pods of a spot node that is about to be taken away, so that replacements start before it is gone"
        ),
        RELOADED,
    ] = True
    drain_max_unavailable: Annotated[
        int,
        doc(
            "Most pods of a workload that may be unavailable while its pods leave a spot node that is about to be "
            "taken away, in percent of its replicas; counts for pods that no PodDisruptionBudget covers",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 25
    not_ready_nodes: Annotated[
        int,
        doc(
            "Move nothing while more than this share of the nodes is being lost: not Ready for less than 15 minutes, "
            "in percent",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 20
    move_singletons: Annotated[bool, doc("Also move the pod of a workload that has one replica"), RELOADED] = False
    back_off: Annotated[
        str,
        duration("How long a workload is left alone after a move that did not help; each further one doubles it"),
        RELOADED,
    ] = "1m"
    max_back_off: Annotated[
        str, duration("Longest time that a workload is left alone after moves that did not help"), RELOADED
    ] = "1h"
    circuit_moves: Annotated[
        int,
        doc("Moves that did not help, within circuitWindow, after which a workload is left alone for circuitReset"),
        Meta(ge=1, le=1000),
        RELOADED,
    ] = 3
    circuit_window: Annotated[str, duration("Time in which the moves that did not help are counted"), RELOADED] = "6h"
    circuit_reset: Annotated[
        str,
        duration(
            "How long a workload is left alone after circuitMoves moves that did not help, unless its policy changes "
            "before"
        ),
        RELOADED,
    ] = "24h"
    replacement_timeout: Annotated[
        str,
        duration("How long a replacement may take to become Ready, in addition to the grace period of the old pod"),
        RELOADED,
    ] = "15m"
    blocked_after: Annotated[
        str,
        duration(
            "How long a pod has to stay on the wrong class before an Event says why it is not moved; six times as long "
            "where the reason passes by itself"
        ),
        RELOADED,
    ] = "5m"
    placeholders: Annotated[
        int,
        doc(
            "Most placeholders in the cluster at the same time: pods of Spotmix that have an autoscaler bring a node "
            "before a pod is moved or let go to its class; 0 makes none, so that pods go where there is room already"
        ),
        Meta(ge=0, le=1000),
    ] = 3
    placeholder_image: Annotated[
        str, doc("Image of placeholders; it has to do nothing, and run as any user", IMAGE), Meta(min_length=1)
    ] = "registry.k8s.io/pause:3.10"
    store: Annotated[
        str,
        doc("ConfigMap that keeps moves in flight, waiting times and recent interruptions when Spotmix restarts", NAME),
        SOME_DNS_NAME,
    ] = "spotmix-drift"
    namespace: Annotated[
        str,
        doc(
            "Namespace of the ConfigMap drift.store and of placeholders; empty takes the pod's own ($POD_NAMESPACE), "
            "outside of a pod `default`",
            NAME,
        ),
        DNS_NAME,
    ] = ""


class PolicySettings(Section, frozen=True):
    """How the annotations of workloads and Namespaces are read."""

    prefixes: Annotated[
        tuple[str, ...],
        doc("Prefixes of annotations and labels that are read; where two say different things the earlier one counts"),
        Meta(min_length=1),
    ] = ("spotmix.io", "spotalis.io")
    defaults: Annotated[
        dict[str, str | int],
        doc(
            "Policy where neither a workload nor its Namespace sets a key; keys have no prefix, as in "
            '{"spot-percentage": "70"}'
        ),
        RELOADED,
    ] = field(default_factory=dict)
    protected_namespaces: Annotated[
        tuple[str, ...],
        doc("Namespaces whose pods may go to any node; kube-system and that of Spotmix always are among them"),
        RELOADED,
    ] = ("kube-system",)
    namespaces: Annotated[
        tuple[Annotated[str, SOME_DNS_NAME], ...],
        doc(
            "Namespaces whose workloads are managed, those above left out; none named means all. In the chart, Spotmix "
            "then may write in these alone"
        ),
        RELOADED,
    ] = ()
    namespace_selector: Annotated[
        Selector,
        doc(
            "Labels that a namespace has to have for its workloads to be managed, as {matchLabels: {spot: allowed}}; "
            "it also has to be one of policy.namespaces where that names some"
        ),
        RELOADED,
    ] = Selector()


class SchedulerConfigSettings(Section, frozen=True):
    """The extender's entry in a scheduler's configuration. Paths are on the scheduler's machine."""

    url_prefix: Annotated[
        str,
        doc(
            "Address of the extender as the scheduler reaches it, http:// or https://; empty is made of extender.addr",
            URL,
        ),
        RELOADED,
    ] = ""
    weight: Annotated[
        int,
        doc("What Spotmix's scores are multiplied by; above 12 they outweigh the scheduler's own", WEIGHT),
        Meta(ge=1, le=1000),
        RELOADED,
    ] = 15
    node_cache_capable: Annotated[
        bool,
        doc("The scheduler sends names instead of whole nodes; false makes nodes look empty to its own scoring"),
        RELOADED,
    ] = True
    http_timeout: Annotated[str, duration("How long the scheduler waits for an answer of the extender"), RELOADED] = (
        "5s"
    )
    ignorable: Annotated[
        bool,
        doc("What happens to pods while Spotmix cannot be reached: true places them anywhere, false lets them wait"),
        RELOADED,
    ] = False
    ca_file: Annotated[
        str, doc("PEM file of the CA that signed the extender's certificate; needed with https", FILE), RELOADED
    ] = ""
    ca_data: Annotated[
        str, doc("The CA that signed the extender's certificate, by itself; counts before caFile", PEM), RELOADED
    ] = ""
    cert_file: Annotated[str, doc("PEM file of the client certificate that the scheduler shows", FILE), RELOADED] = ""
    key_file: Annotated[
        str, doc("PEM file of the private key of the scheduler's client certificate", FILE), RELOADED
    ] = ""
    server_name: Annotated[
        str, doc("Name in the extender's certificate, where it is not the host of urlPrefix", HOST), RELOADED
    ] = ""


class Settings(Section, frozen=True):
    """Which cluster, and how its nodes are told apart."""

    kubeconfig: Annotated[
        str,
        doc(
            "Kubeconfig file, which says where the cluster is; empty takes $KUBECONFIG, else ~/.kube/config, else the "
            "pod's service account",
            FILE,
        ),
    ] = ""
    context: Annotated[str, doc("Context of the kubeconfig that is used; empty takes its current context", CONTEXT)] = (
        ""
    )
    extender: ExtenderSettings = field(default_factory=ExtenderSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    expander: ExpanderSettings = field(default_factory=ExpanderSettings)
    log: LogSettings = field(default_factory=LogSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    scale_in: ScaleInSettings = field(default_factory=ScaleInSettings)
    leader_election: LeaderElectionSettings = field(default_factory=LeaderElectionSettings)
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    scheduler_config: SchedulerConfigSettings = field(default_factory=SchedulerConfigSettings)
    classes: Annotated[
        ClassRules,
        doc(
            "Which labels tell spot nodes from on-demand ones, and which taints and conditions say that a node is "
            "about to go away; extraRules and extraGoingAwayTaints add to what is built in"
        ),
        RELOADED,
    ] = field(default_factory=ClassRules)
