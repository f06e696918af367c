"""The words of logs and traces: each thing is called the same wherever it is told of.

A log line has the keys of `KEYS`, and a span the attributes: what has a name of its own in OpenTelemetry's semantic
conventions goes by that in spans.
"""

from msgspec import Struct


class Key(Struct, frozen=True):
    """A key of log lines, and the attribute of spans that says the same; empty when spans have none.

    `text` says what it holds, for docs/reference/logs.md.
    """

    name: str
    text: str
    attribute: str = ""


def named(kind: str, name: str) -> str:
    """What a workload is called: `Deployment/web`, or empty while it is not known."""
    return f"{kind}/{name}" if name else ""


# Attributes of spans.
WORKLOAD = "spotmix.workload"
CLASS = "spotmix.class"
WANTED = "spotmix.wanted"
REASON = "spotmix.reason"
DECISION = "spotmix.decision.id"
OUTCOME = "spotmix.outcome"
REPLACEMENT = "spotmix.replacement"
DRY = "spotmix.dry"
OFFERED = "spotmix.nodes.offered"
PASSED = "spotmix.nodes.passed"
WORKLOADS = "spotmix.workloads"
MOVES = "spotmix.moves"
STAYS = "spotmix.stays"
NAMESPACE = "k8s.namespace.name"
POD = "k8s.pod.name"
POD_UID = "k8s.pod.uid"
NODE = "k8s.node.name"

SUBJECT = (
    Key("workload", "kind and name of the object that carries the policy: `Deployment/web`", WORKLOAD),
    Key("namespace", "its namespace, or the pod's", NAMESPACE),
    Key("pod", "name of the pod", POD),
    Key("node", "name of the node", NODE),
    Key("class", "capacity class that a pod was given, moves to or landed on", CLASS),
    Key("wanted", "capacity class of the pod's seat", WANTED),
    Key("reason", "why, one word of [the list of reasons](metrics.md#reasons)", REASON),
    Key("decision", "number of the decision in the decision log of this process", DECISION),
    Key("offered", "nodes that the scheduler offered", OFFERED),
    Key("passed", "nodes that passed", PASSED),
    Key("outcome", "what became of it", OUTCOME),
    Key("replacement", "name of the pod that came in place of the one that was moved", REPLACEMENT),
    Key("dry", "nothing was changed: a dry run, or a workload in audit mode", DRY),
)
"""What a line is about, and what was decided."""

SERVICE = (
    Key("verb", "request: `filter`, `prioritize`, `mutate-pods`, `mutate-scheduler-configs`, `validate-workloads`"),
    Key("error", "what is wrong, and where it can be told, how to put it right"),
    Key("source", "what met a fault, as in the metric `spotmix_api_faults_total`"),
    Key("kind", "kind of owners"),
    Key("group", "API group of that kind"),
    Key("mode", "how classes are enforced where workloads say nothing of it, and why"),
    Key("done", "what was done with certificates"),
    Key("server", "listener that a certificate is for, or that connections came to"),
    Key("until", "end of a certificate's validity"),
    Key("former", "identity of the leader before"),
    Key("extender", "address:port of the extender"),
    Key("metrics", "address:port of health, metrics and console"),
    Key("webhook", "address:port of the webhook"),
    Key("api", "address:port of the gRPC API"),
    Key("expander", "address:port of cluster-autoscaler's expander"),
    Key("tls", "whether the extender serves HTTPS"),
    Key("seconds", "how long it took"),
    Key("nodes", "how many nodes there are"),
    Key("pods", "how many pods there are"),
    Key("workloads", "how many managed workloads there are"),
    Key("settings", "keys of the configuration file"),
    Key("exporter", "where traces are sent to"),
    Key("lost", "spans that could not be sent"),
)
"""About the service itself."""

LINE = (
    Key("timestamp", "when, in UTC"),
    Key("level", "`debug`, `info`, `warning` or `error`"),
    Key("event", "what happened, in constant words"),
    Key("trace_id", "trace that the line belongs to, when [traces](../how-to/trace-it.md) are on"),
    Key("span_id", "span of that trace"),
    Key("exception", "traceback of an exception that was not expected"),
)
"""Of every line; whoever writes it gives none of these."""

KEYS = (*SUBJECT, *SERVICE)
"""What a line may be given."""
