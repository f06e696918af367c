"""What in a scheduler's configuration, beside our entry, would hurt."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from extender.schedulerconfig.read import DEFAULT_SCHEDULER, text_of
from extender.schedulerconfig.yamltree import YamlNode

Severity = Literal["error", "warning", "info"]


class Remark(Struct, frozen=True):
    """Something worth knowing about a configuration.

    Attributes:
        severity: error: it does not do what it is there for; warning: it may hurt; info: a choice that was made.
        line: 1-based line it stands in, or of what lacks it.
        field: path of the field, such as `extenders[0].weight`.
        text: what happens because of it, and what to do.
    """

    severity: Severity
    line: int
    field: str
    text: str


def sample(root: YamlNode) -> Iterator[Remark]:
    """How many of the nodes Spotmix gets to see."""
    profiles = root.find("profiles")
    places = [("percentageOfNodesToScore", root)]
    places += [
        (f"profiles[{index}].percentageOfNodesToScore", item.target)
        for index, item in enumerate(profiles.items if profiles else ())
    ]
    for path, place in places:
        node = place.find("percentageOfNodesToScore")
        percentage = node.scalar if node is not None else None
        if percentage is None and place is not root:
            continue
        missed = "a class outside of it is reached by nomination, an attempt later; 100 offers all and is slower"
        if percentage == 100:
            text = (
                "is 100: every node is looked at for every pod, which costs a cluster of thousands most of its"
                " throughput; Spotmix does not need it"
            )
        elif percentage:
            text = (
                f"is {percentage}: from 100 nodes up the scheduler offers that many percent of the nodes, at least 100;"
                f" {missed}"
            )
        else:
            text = (
                f"is not set: from 100 nodes up the scheduler offers a sample, of many nodes a smaller share; {missed}"
            )
        yield Remark("info", node.line if node else root.line, path, text)


def own_pods(root: YamlNode, ignorable: bool, own_scheduler_name: str) -> Iterator[Remark]:
    """Whose pods Spotmix is asked about, and whether its own are among them."""
    names = profile_names(root)
    line = (root.find("profiles") or root).line
    if len(names) > 1:
        text = f"{', '.join(names)} share all extenders: Spotmix is asked about the pods of each"
        yield Remark("info", line, "profiles", text)
    if own_scheduler_name not in names:
        return
    if ignorable:
        text = (
            f"Spotmix's own pods are placed by {own_scheduler_name}, which goes on without Spotmix as it is ignorable"
        )
        yield Remark("info", line, "profiles", text)
        return
    text = (
        f"{own_scheduler_name} places Spotmix's own pods too: once all are gone none comes back, as it waits for them; "
        "set ignorable: true, give those pods another schedulerName, or run Spotmix as a static pod"
    )
    yield Remark("warning", line, "profiles", text)


def profile_names(root: YamlNode) -> list[str]:
    """The schedulerNames a configuration serves."""
    profiles = root.find("profiles")
    names = [text_of(item.target, "schedulerName") for item in (profiles.items if profiles else ())]
    return [name or DEFAULT_SCHEDULER for name in names] or [DEFAULT_SCHEDULER]


def leader_election(root: YamlNode) -> Iterator[Remark]:
    """Whether the scheduler stands in the way of the cluster's own."""
    election = root.find("leaderElection")
    off = election is not None and (node := election.find("leaderElect")) is not None and node.scalar is False
    named = election is not None and text_of(election, "resourceName") not in ("", "kube-scheduler")
    if off or named or DEFAULT_SCHEDULER in profile_names(root):
        return
    text = "elects by the Lease kube-scheduler, the cluster's own scheduler's, and waits for it for ever; name another"
    yield Remark("error", (election or root).line, "leaderElection.resourceName", text)


def connection(root: YamlNode) -> Iterator[Remark]:
    """Whether a scheduler of the control plane reaches its API server."""
    client = root.find("clientConnection")
    if DEFAULT_SCHEDULER not in profile_names(root) or (client and text_of(client, "kubeconfig")):
        return
    text = (
        "is not set: with --config the flag --kubeconfig is ignored, and a static pod has no service account to fall "
        "back on; write the flag's file here, such as /etc/kubernetes/scheduler.conf"
    )
    yield Remark("warning", (client or root).line, "clientConnection.kubeconfig", text)
