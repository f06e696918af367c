"""How the class of a workload's pods is enforced: by the extender, or by what is written on each pod.

`enforcement: auto` is `affinity` where an autoscaler serves the cluster, since none asks extenders, and where the pod's
scheduler does not ask the extender, or has not yet: what is written holds with every scheduler. Else it is `extender`.

Every replica answers the webhook, and all come to the same: autoscalers are seen in the API, and which schedulers ask
is told by the replica that is asked. For the seconds in which one knows more than another, pods of both kinds are
counted by the same seats.
"""

from collections.abc import Iterator

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy
from extender.core.policy.workload import Workload
from extender.core.state.schedulers import DEFAULT_SCHEDULER
from extender.core.state.state import ClusterState


class Enforced(Struct, frozen=True, gc=False, rename="camel"):
    """How classes are enforced, `extender` or `affinity`, and why.

    `scheduler` is the one that it is so for, empty where it makes no difference; `detail` names what was seen.
    """

    enforcement: str
    reason: Reason
    scheduler: str = ""
    detail: str = ""

    @property
    def text(self) -> str:
        """In a line, for people."""
        of = f" for pods of {self.scheduler}" if self.scheduler else ""
        seen = f" ({self.detail})" if self.detail else ""
        return f"{self.enforcement}{of}: {self.reason.text}{seen}"


def is_written(how: Enforced | None) -> bool:
    """Whether classes are written on pods where they are enforced like this."""
    return how is not None and how.enforcement == "affinity"


def enforced(state: ClusterState, policy: Policy, scheduler: str) -> Enforced | None:
    """How the class of a pod is enforced; None where nobody can say, as nobody is asked here.

    Args:
        state: the cluster.
        policy: of its workload.
        scheduler: the scheduler that places it.
    """
    if policy.enforcement != "auto":
        return Enforced(policy.enforcement, Reason.ENFORCED_BY_POLICY)
    rules = state.workloads.rules
    if rules.gates is None:
        return None
    if not rules.gates:
        return Enforced("extender", Reason.NO_WEBHOOK)
    seen = state.autoscalers
    if seen:
        return Enforced("affinity", Reason.AUTOSCALER_SEEN, detail="; ".join(sorted(seen)))
    name = scheduler or DEFAULT_SCHEDULER
    asks = state.schedulers.asks.get(name)
    if asks is not None:
        return (
            Enforced("extender", Reason.SCHEDULER_ASKS, name)
            if asks
            else Enforced("affinity", Reason.SCHEDULER_SILENT, name)
        )
    if name in rules.asking or (policy.scheduler_name == name and name != DEFAULT_SCHEDULER):
        return Enforced("extender", Reason.SCHEDULER_NAMED, name)
    return Enforced("affinity", Reason.SCHEDULER_UNKNOWN, name)


def enforced_in_all(state: ClusterState) -> Iterator[Enforced]:
    """How the classes of workloads are enforced that say nothing of it themselves: for all, or by scheduler."""
    rules = state.workloads.rules
    policy = state.workloads.default_policy
    for scheduler in sorted({DEFAULT_SCHEDULER, *rules.asking, *state.schedulers.asks}):
        found = enforced(state, policy, scheduler)
        if found is not None:
            yield found
        if found is None or not found.scheduler:
            return


def enforced_for(state: ClusterState, workload: Workload) -> Enforced | None:
    """How the class of a workload's next pods is enforced, as far as its pods tell which scheduler places them."""
    return enforced(state, workload.policy, _scheduler_of(state, workload))


def may_be_brought(state: ClusterState, workload: Workload) -> bool:
    """Whether nodes may be brought for a workload's next pods: their class is written, and an autoscaler is seen.

    Who asks for `affinity` may have one that is not seen.
    """
    how = enforced_for(state, workload)
    known = {Reason.AUTOSCALER_SEEN, Reason.ENFORCED_BY_POLICY}
    return how is not None and is_written(how) and how.reason in known


def _scheduler_of(state: ClusterState, workload: Workload) -> str:
    asked = workload.policy.scheduler_name
    if asked:
        return asked
    for uid in (*reversed(state.workloads.children.get(workload.uid, ())), workload.uid):
        revision = state.revisions.get(uid)
        if revision is None:
            continue
        waiting = (state.scheduler_of(pod.uid) for pod in revision.pods if pod.node is None)
        found = next((name for name in waiting if name), revision.scheduler)
        if found:
            return found
    return DEFAULT_SCHEDULER
