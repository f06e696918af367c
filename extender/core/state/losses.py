"""Pods of Jobs that interruptions took: from so many on, its policy may say, the others of a Job go to on-demand.

Such pods are deleted soon. What is not written on a policy object in time is known by those that are still there, and
to the other replicas.
"""

from collections.abc import Collection, Mapping

from extender.core.model.objects import Pod
from extender.core.policy.managed import Managed
from extender.core.policy.workloads import Workloads

PODS = 100
"""Lost pods of a Job that are kept: no policy lets there be more."""

JOBS = 500
"""Jobs whose lost pods are kept, and those of one policy that are written; of more the newest."""

Lost = Mapping[str, tuple[str, ...]]
"""Lost pods by Job, all by UID."""


class Losses:
    """Lost pods of each Job.

    Args:
        workloads: hold the policy objects with their statuses.

    Attributes:
        changed: UIDs of policies that have more to tell. Who tells of them takes them out.
    """

    def __init__(self, workloads: Workloads) -> None:
        self.changed: set[str] = set()
        self._workloads = workloads
        self._seen: dict[str, dict[str, None]] = {}
        self._told: dict[str, tuple[object, Lost]] = {}

    def take(self, pod: Pod) -> Managed | None:
        """An interruption took a pod of a Job; the Job, if that has it go on on-demand."""
        owner = pod.owner
        if owner is None or owner.kind != "Job" or pod.uid in self._seen.get(owner.uid, ()):
            return None
        managed = self._workloads.resolve(pod.namespace, owner)
        after = managed.workload.on_demand_after if isinstance(managed, Managed) else None
        before = self.of_job(owner.uid, after.policy if after is not None else "")
        seen = self._seen.setdefault(owner.uid, {})
        if len(seen) < PODS:
            seen[pod.uid] = None
        if len(self._seen) > JOBS:
            del self._seen[next(iter(self._seen))]
        if not isinstance(managed, Managed) or after is None or pod.uid in before:
            return None
        self.changed.add(after.policy)
        return managed if len(before) + 1 == after.count else None

    def forget(self, job: str) -> None:
        """A Job (UID), or something else, is gone."""
        self._seen.pop(job, None)

    def forget_policy(self, policy: str) -> None:
        """A policy object is gone."""
        self._told.pop(policy, None)
        self.changed.discard(policy)

    def of_job(self, job: str, policy: str) -> Collection[str]:
        """The lost pods of a Job, as the status of its policy and the watch tell of them (UIDs)."""
        return dict.fromkeys((*self._of_status(policy).get(job, ()), *self._seen.get(job, ())))

    def goes_on_demand(self, managed: Managed) -> bool:
        """Whether a Job has lost so many pods that the others go to on-demand."""
        after = managed.workload.on_demand_after
        if after is None or managed.revision.kind != "Job":
            return False
        return len(self.of_job(managed.revision.uid, after.policy)) >= after.count

    def status(self, policy: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What the status of a policy has to say: the lost pods of each of its Jobs that is there."""
        found = []
        for job in dict.fromkeys((*self._of_status(policy), *self._seen)):
            owner = self._workloads.owners.get(job)
            managed = self._workloads.resolve(owner.namespace, owner.ref) if owner is not None else None
            after = managed.workload.on_demand_after if isinstance(managed, Managed) else None
            if after is not None and after.policy == policy:
                found.append((job, tuple(self.of_job(job, policy))[: after.count]))
        return tuple(found[-JOBS:])

    def _of_status(self, policy: str) -> Lost:
        thing = self._workloads.objects.by_uid.get(policy)
        lost = thing.policy.status.lost if thing is not None else ()
        if not lost:
            return {}
        known = self._told.get(policy)
        if known is None or known[0] is not lost:
            known = self._told[policy] = (lost, dict(lost))
        return known[1]
