"""The sections of the configuration file: each setting with its unit, default and effect."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from extender.core.model.classes import ClassRules


def _duration(text: str) -> Any:
    return Meta(description=text, extra={"unit": "duration"})


def _doc(text: str, flag: str = "") -> Any:
    return Meta(description=text, extra={"flag": flag} if flag else None)


class Section(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A section of the file."""


class TlsSettings(Section, frozen=True):
    """Serving the extender by HTTPS. Files are read again when they change."""

    cert: Annotated[str, _doc("PEM file of the serving certificate; empty serves plain HTTP", "tls-cert")] = ""
    key: Annotated[str, _doc("PEM file of its private key", "tls-key")] = ""
    client_ca: Annotated[str, _doc("PEM file of the CA that clients' certificates must be signed by", "client-ca")] = ""


class ExtenderSettings(Section, frozen=True):
    """The scheduler extender."""

    addr: Annotated[str, _doc("address:port that the extender listens on")] = "0.0.0.0:8888"
    url_prefix: Annotated[str, _doc("path before /filter and /prioritize")] = "/scheduler"
    max_body: Annotated[int, _doc("largest request body in bytes"), Meta(ge=1024)] = 16 * 1024 * 1024
    max_candidates: Annotated[
        int,
        _doc("most nodes that pass filter for a managed pod, spread over pools; 0 passes all of the class"),
        Meta(ge=0),
    ] = 100
    owner_wait: Annotated[str, _duration("how long a decision waits for an owner the watch has not delivered")] = "0.1s"
    reservation_ttl: Annotated[str, _duration("how long a seat is held for a pod that the watch never delivers")] = (
        "15m"
    )
    decision_log: Annotated[
        int,
        _doc("last decisions on managed pods that are kept in memory, at some 480 bytes each; 0 keeps none"),
        Meta(ge=0, le=1_000_000),
    ] = 10_000
    interruption_half_life: Annotated[
        str, _duration("how long until an interruption of a spot pool counts half as much against the pool")
    ] = "1h"
    tls: TlsSettings = field(default_factory=TlsSettings)


class MetricsSettings(Section, frozen=True):
    """Health and metrics."""

    addr: Annotated[str, _doc("address:port of /livez, /readyz and /metrics")] = "0.0.0.0:8080"
    workload_series: Annotated[
        int,
        _doc("most workloads that have series of their own, the oldest; 0 for none, sums over all are always there"),
        Meta(ge=0),
    ] = 2000


class ConsoleSettings(Section, frozen=True):
    """The web console, at /console on the address of the metrics."""

    enabled: Annotated[bool, _doc("serve the console, which shows workloads, pods and nodes")] = True
    auth: Annotated[
        Literal["none", "kubernetes"],
        _doc(
            "none shows it to whoever can reach it; kubernetes asks for a token, and the API server whom it belongs to "
            "and what they may see"
        ),
    ] = "none"


class ApiTlsSettings(Section, frozen=True):
    """Serving the API by TLS. Files are read again when they change."""

    cert: Annotated[str, _doc("PEM file of the serving certificate; empty serves without TLS")] = ""
    key: Annotated[str, _doc("PEM file of its private key")] = ""
    client_ca: Annotated[str, _doc("PEM file of the CA that clients' certificates must be signed by")] = ""


class ApiSettings(Section, frozen=True):
    """The gRPC API: what Spotmix knows and decides, for programs. Nothing can be changed through it."""

    enabled: Annotated[bool, _doc("serve the API")] = True
    addr: Annotated[str, _doc("address:port that the API listens on")] = "0.0.0.0:9444"
    tls: ApiTlsSettings = field(default_factory=ApiTlsSettings)
    auth: Annotated[
        Literal["none", "kubernetes"],
        _doc(
            "who may ask: none lets everybody who can reach it, kubernetes those whose bearer token Kubernetes accepts "
            "and whom it lets see resources of placement.spotmix.io; tokens are to go by TLS"
        ),
    ] = "none"
    max_watches: Annotated[
        int, _doc("most callers that follow decisions at a time; there may be 100 other calls beside them"), Meta(ge=0)
    ] = 16


class LogSettings(Section, frozen=True):
    """Logs, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _doc("least severe level that is logged; debug has a line per decision on a managed pod"),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"], _doc("json, console, or auto: console on a terminal, else json")
    ] = "auto"


class CacheSettings(Section, frozen=True):
    """The watch on the cluster."""

    page_size: Annotated[int, _doc("objects per page of a list"), Meta(ge=1, le=5000)] = 200
    stale_after: Annotated[str, _duration("a resource not heard of for longer makes the process not ready")] = "3m"


class ScaleInSettings(Section, frozen=True):
    """Scale-in that keeps the split."""

    deletion_cost: Annotated[
        bool,
        _doc(
            "write pod-deletion-cost by seat on pods of ReplicaSets, so that the highest seats leave first; "
            "a cost that somebody else set stays"
        ),
    ] = True
    settle: Annotated[str, _duration("how long a revision must be unchanged before seats are written")] = "2s"
    rate: Annotated[float, _doc("most cost patches per second"), Meta(gt=0)] = 50.0


_PERCENT = Meta(ge=0, le=100)
_DNS_NAME = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"


class LeaderElectionSettings(Section, frozen=True):
    """Which of several replicas decides. The times are those of client-go, and so are their defaults."""

    enabled: Annotated[bool, _doc("run as one of several replicas, of which the holder of a Lease decides")] = False
    name: Annotated[str, _doc("name of the Lease"), Meta(min_length=1, pattern=_DNS_NAME)] = "spotmix"
    namespace: Annotated[
        str, _doc("namespace of the Lease; empty takes the pod's own ($POD_NAMESPACE)"), Meta(pattern=_DNS_NAME)
    ] = ""
    identity: Annotated[
        str, _doc("what this replica is called in the Lease; empty takes $POD_NAME, else host name and process id")
    ] = ""
    lease_duration: Annotated[str, _duration("how long others wait for a leader that renews no more")] = "15s"
    renew_deadline: Annotated[str, _duration("how long the leader decides without a renewal that succeeded")] = "10s"
    retry_period: Annotated[str, _duration("how long between two attempts to get or renew the Lease")] = "2s"


class DriftSettings(Section, frozen=True):
    """The drift loop: moves pods back to the split that their owners asked for."""

    enabled: Annotated[bool, _doc("move pods that are too many in their class")] = True
    read_only: Annotated[
        bool, _doc("dry run: plan, ask the API server with dryRun whether it would evict, report, change nothing")
    ] = False
    interval: Annotated[
        str, _duration("how often every workload is looked at, beside whenever it changes; at least 5s")
    ] = "30s"
    min_pod_age: Annotated[str, _duration("a younger pod is not moved")] = "2m"
    dwell: Annotated[
        str, _duration("how long a node must have been Ready and not going away before pods are moved to it")
    ] = "5m"
    max_moves_per_hour: Annotated[
        int,
        _doc("most moves of a workload in an hour, where its max-moves-per-hour says nothing"),
        Meta(ge=0, le=10_000),
    ] = 6
    max_moves_in_flight: Annotated[
        int, _doc("most moves in the cluster that wait for a pod to end or for its replacement"), Meta(ge=1, le=10_000)
    ] = 10
    workload_in_flight: Annotated[
        int, _doc("such moves of one workload, in percent of its replicas; at least one"), _PERCENT
    ] = 10
    max_unavailable: Annotated[
        int, _doc("pods of a workload that may be unavailable, the move included, in percent; at least one"), _PERCENT
    ] = 5
    drain_on_interruption: Annotated[
        bool, _doc("evict pods from a spot node that is about to be taken away, so that replacements start before")
    ] = True
    drain_max_unavailable: Annotated[
        int,
        _doc("as maxUnavailable, for pods that leave such a node and have no PodDisruptionBudget"),
        _PERCENT,
    ] = 25
    not_ready_nodes: Annotated[
        int, _doc("nothing is moved while more of the nodes are not Ready, in percent"), _PERCENT
    ] = 20
    move_singletons: Annotated[bool, _doc("move the only replica of a workload too")] = False
    back_off: Annotated[str, _duration("wait after a move in vain; doubled by each further one")] = "1m"
    max_back_off: Annotated[str, _duration("longest such wait")] = "1h"
    circuit_moves: Annotated[
        int, _doc("moves in vain within circuitWindow after which a workload is left alone"), Meta(ge=1, le=1000)
    ] = 3
    circuit_window: Annotated[str, _duration("see circuitMoves")] = "6h"
    circuit_reset: Annotated[
        str, _duration("how long a workload is left alone then, unless its policy changes before")
    ] = "24h"
    replacement_timeout: Annotated[
        str, _duration("how long a replacement may take to become Ready, beside the grace period of the old pod")
    ] = "15m"
    blocked_after: Annotated[
        str, _duration("how long a surplus pod stays before an Event tells why; six times that when the reason passes")
    ] = "5m"
    store: Annotated[
        str,
        _doc("ConfigMap that keeps moves in flight and back-off over restarts"),
        Meta(min_length=1, pattern=_DNS_NAME),
    ] = "spotmix-drift"
    namespace: Annotated[
        str,
        _doc("namespace of that ConfigMap; empty takes the pod's own ($POD_NAMESPACE), outside of a pod default"),
        Meta(pattern=_DNS_NAME),
    ] = ""


class CertificateSettings(Section, frozen=True):
    """The webhook's serving certificate, made and renewed by Spotmix itself."""

    secret: Annotated[
        str,
        _doc("Secret in the own namespace that holds CA and certificate; empty makes none"),
        Meta(pattern=_DNS_NAME),
    ] = ""
    service: Annotated[
        str, _doc("Service that the API server calls; its DNS names go into the certificate"), Meta(pattern=_DNS_NAME)
    ] = "spotmix"
    dns_names: Annotated[tuple[str, ...], _doc("further DNS names of the certificate")] = ()
    ip_addresses: Annotated[tuple[str, ...], _doc("IP addresses of the certificate")] = ()
    configurations: Annotated[
        tuple[str, ...],
        _doc("names of the Mutating- and ValidatingWebhookConfigurations whose caBundle is kept current"),
    ] = ()
    validity: Annotated[str, _duration("how long a certificate is valid")] = "2160h"
    ca_validity: Annotated[str, _duration("how long a CA is valid")] = "87600h"
    renew_before: Annotated[str, _duration("how long before its end a certificate is replaced")] = "720h"


class WebhookTlsSettings(Section, frozen=True):
    """Files of the webhook's serving certificate. They are read again when they change."""

    cert: Annotated[str, _doc("PEM file of the webhook's serving certificate")] = ""
    key: Annotated[str, _doc("PEM file of its private key")] = ""


class WebhookSettings(Section, frozen=True):
    """The admission webhook."""

    enabled: Annotated[bool, _doc("serve the admission webhook")] = False
    addr: Annotated[str, _doc("address:port that the webhook listens on, by HTTPS")] = "0.0.0.0:9443"
    max_body: Annotated[int, _doc("largest review in bytes"), Meta(ge=1024)] = 3 * 1024 * 1024
    tls: WebhookTlsSettings = field(default_factory=WebhookTlsSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    default_scheduler_name: Annotated[
        str,
        _doc("schedulerName of managed pods whose workload and Namespace name none; empty leaves them alone"),
        Meta(max_length=253),
    ] = ""
    invalid_policies: Annotated[
        Literal["warn", "deny"], _doc("what becomes of workloads with wrong annotations: warn about or deny them")
    ] = "warn"
    preference_weight: Annotated[
        int,
        _doc("weight of the preferred node affinity towards the class that is short; 0 adds none"),
        Meta(ge=0, le=100),
    ] = 50
    extra_spot_taints: Annotated[
        tuple[str, ...],
        _doc("further taints of spot nodes, for pods to tolerate: key=value:effect, or key:effect for any value"),
    ] = ()


class PolicySettings(Section, frozen=True):
    """How workloads' annotations are read."""

    prefixes: Annotated[
        tuple[str, ...],
        _doc("annotation and label prefixes, ours first; an earlier one wins"),
        Meta(min_length=1),
    ] = ("spotmix.io", "spotalis.io")
    defaults: Annotated[
        dict[str, str | int],
        _doc('annotations that apply where no workload or Namespace sets them, such as {"spot-percentage": "70"}'),
    ] = field(default_factory=dict)
    protected_namespaces: Annotated[
        tuple[str, ...],
        _doc("namespaces whose pods always pass, beside kube-system and the one Spotmix runs in"),
    ] = ("kube-system",)


class SchedulerConfigSettings(Section, frozen=True):
    """Our entry in a scheduler's configuration, where Spotmix writes it. Paths are on the scheduler's machine."""

    url_prefix: Annotated[
        str,
        _doc("http:// or https:// address of the extender as the scheduler reaches it; empty is made of extender.addr"),
    ] = ""
    weight: Annotated[
        int, _doc("what our scores are multiplied by; above 12 they outweigh the scheduler's own"), Meta(ge=1, le=1000)
    ] = 15
    node_cache_capable: Annotated[
        bool, _doc("the scheduler sends names instead of nodes; false makes nodes look empty to its own scoring")
    ] = True
    http_timeout: Annotated[str, _duration("how long the scheduler waits for an answer")] = "5s"
    ignorable: Annotated[bool, _doc("true: pods are placed anywhere while Spotmix is away; false: they wait")] = False
    ca_file: Annotated[str, _doc("PEM file of the CA that signed the extender's certificate; needed with https")] = ""
    ca_data: Annotated[str, _doc("the CA itself, as PEM or its base64; wins over caFile")] = ""
    cert_file: Annotated[str, _doc("PEM file of the client certificate that the scheduler shows")] = ""
    key_file: Annotated[str, _doc("PEM file of its private key")] = ""
    server_name: Annotated[str, _doc("name in the extender's certificate, where it is not the host of urlPrefix")] = ""


class Settings(Section, frozen=True):
    """The whole configuration."""

    kubeconfig: Annotated[
        str, _doc("kubeconfig file; empty tries $KUBECONFIG, ~/.kube/config, then the pod's service account")
    ] = ""
    context: Annotated[str, _doc("context of the kubeconfig; empty takes its current one")] = ""
    extender: ExtenderSettings = field(default_factory=ExtenderSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    log: LogSettings = field(default_factory=LogSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    scale_in: ScaleInSettings = field(default_factory=ScaleInSettings)
    leader_election: LeaderElectionSettings = field(default_factory=LeaderElectionSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    scheduler_config: SchedulerConfigSettings = field(default_factory=SchedulerConfigSettings)
    classes: Annotated[
        ClassRules,
        _doc("how nodes are told apart: defaultClass, extraRules, rules, extraGoingAwayTaints, ..."),
    ] = field(default_factory=ClassRules)
