"""A complete KubeSchedulerConfiguration for a secondary scheduler, with comments that say why."""

import re
from collections.abc import Sequence

from extender.core.model.errors import ConfigError
from extender.schedulerconfig.read import API_VERSION, DEFAULT_SCHEDULER, KIND, Stanza
from extender.schedulerconfig.yamledit import item_lines, scalar_text

SCHEDULER_NAME = "spotmix"
LEASE_NAMESPACE = "spotmix-system"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")

_HEAD = f"""\
# A kube-scheduler beside the cluster's own, with Spotmix attached. Run it as kube-scheduler --config=FILE; pods ask for
# it by spec.schedulerName.
apiVersion: {API_VERSION}
kind: {KIND}
"""
_LEASE = """
# Of several replicas one is elected and schedules, the others stand by. The Lease has a name of its own: under the
# default one, kube-scheduler in kube-system, they would wait for the cluster's own scheduler to give it up.
leaderElection:
  leaderElect: true
  resourceLock: leases
  resourceName: {name}
  resourceNamespace: {namespace}
"""
_CLIENT = """
# {comment}
clientConnection:
  kubeconfig: {kubeconfig}
"""
_PROFILES = """
# The schedulerNames that are served here. No other scheduler may serve them too: both would place the same pods.
profiles:
"""
_PERCENTAGE = """
# How many of the nodes the scheduler looks at for a pod before it asks Spotmix, in percent. Without this line it is all
# of them below 100 nodes and ever fewer above; a node that is left out is then reached by nomination, after an attempt
# in vain. 100 offers them all each time, at the price of throughput in a large cluster.
percentageOfNodesToScore: {percentage}
"""
_EXTENDERS = """
# Spotmix is asked about every pod of every profile above, and answers at once for those it does not manage.
{scores}
# nodeCacheCapable: false would make every node look empty to the scheduler's scoring.
# httpTimeout: of a whole request; the scheduler waits that long with all pods when we hang.
# ignorable: false lets pods wait while we are away; true lets them be placed anywhere.
"""
_SCORES = """\
# weight: above 12 our scores outweigh all of the scheduler's own together (above 14 for pods with resource claims)."""
_NO_SCORES = "# It asks for no scores: of the nodes of a pod's class Spotmix leaves it those that score highest."
_TLS = "# enableHTTPS: verifies us by the CA below, a file on the scheduler's own machine or data.\n"


def render(
    stanza: Stanza,
    scheduler_names: Sequence[str] = (SCHEDULER_NAME,),
    *,
    lease_name: str = "",
    lease_namespace: str = LEASE_NAMESPACE,
    kubeconfig: str = "",
    percentage: int | None = None,
) -> str:
    """A KubeSchedulerConfiguration for a secondary scheduler.

    Args:
        stanza: how it reaches us.
        scheduler_names: a profile for each.
        lease_name: the Lease its replicas elect by; named after the first profile when empty.
        lease_namespace: the Lease's namespace.
        kubeconfig: the file it reaches the API server by; its pod's service account when empty.
        percentage: `percentageOfNodesToScore`, 1 to 100; left to the scheduler when None.

    Raises:
        ConfigError: a name is no name, stands twice, or is the default scheduler's.
    """
    _check_names(scheduler_names)
    first = scheduler_names[0]
    lease = lease_name or (first if first.endswith("scheduler") else f"{first}-scheduler")
    for what, name in (("lease name", lease), ("lease namespace", lease_namespace)):
        _check_name(what, name)
    kubeconfig_comment = "How it reaches the API server" + (
        "." if kubeconfig else "; empty is by the service account of its pod."
    )
    parts = [
        _HEAD,
        _LEASE.format(name=scalar_text(lease), namespace=scalar_text(lease_namespace)),
        _CLIENT.format(comment=kubeconfig_comment, kubeconfig=scalar_text(kubeconfig)),
        _PROFILES,
        *(f"  - schedulerName: {scalar_text(name)}\n" for name in scheduler_names),
        _PERCENTAGE.format(percentage=percentage) if percentage else "",
        _EXTENDERS.format(scores=_SCORES if stanza.weight else _NO_SCORES),
        _TLS if stanza.enable_https else "",
        "extenders:\n",
        *(line + "\n" for line in item_lines(stanza.entry(), "  ", 2)),
    ]
    return "".join(parts)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ConfigError("no scheduler name is given; give one, such as --scheduler-name spotmix")
    for index, name in enumerate(names):
        _check_name("scheduler name", name)
        if name == DEFAULT_SCHEDULER:
            fix = "attach Spotmix to that one by `spotmix scheduler-config inject`, or choose another name"
            raise ConfigError(f"scheduler name {name!r} is served by the cluster's own scheduler; {fix}")
        if name in names[:index]:
            raise ConfigError(f"scheduler name {name!r} is given twice; a scheduler has one profile of a name")


def _check_name(what: str, name: str) -> None:
    if not _NAME.match(name):
        raise ConfigError(f"{what} {name!r} is no name; write lower case letters, digits, - and ., such as spotmix")
