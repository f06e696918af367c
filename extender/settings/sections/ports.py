"""Sections of the ports that others call: extender, metrics, console, API, expander."""

from typing import Annotated, Literal

from msgspec import Meta, field

from extender.settings.certificates import OwnCertificateSettings
from extender.settings.values import (
    ADDRESS,
    BYTES,
    FILE,
    PATH,
    RELOADED,
    Section,
    doc,
    duration,
)


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
            "0 sets no limit"
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
