"""Sections of the process: its log, its memory of answers, who leads, and whose configuration it attaches to."""

from typing import Annotated, Literal

from msgspec import Meta

from extender.settings.values import (
    DNS_NAME,
    FILE,
    HOST,
    IDENTITY,
    NAME,
    PEM,
    RELOADED,
    SOME_DNS_NAME,
    URL,
    WEIGHT,
    Section,
    doc,
    duration,
)


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
        doc(
            "What Spotmix's scores of nodes are multiplied by; above 12 they outweigh the scheduler's own. With 0 the "
            "scheduler asks for no scores: Spotmix leaves it those nodes of the class that score highest",
            WEIGHT,
        ),
        Meta(ge=0, le=1000),
        RELOADED,
    ] = 0
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
