"""How many pods a Job's controller wants.

Sources: `wantActive` of `manageJob` and `firstPendingIndexes` in `pkg/controller/job`; Kubernetes 1.36.
"""

from collections.abc import Iterable

from msgspec import Struct

from extender.wire.kube_v1 import OwnerSpec, OwnerStatus

_CONTROLLER = "kubernetes.io/job-controller"
_ENDED = frozenset({"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"})


class JobSize(Struct, frozen=True, gc=False):
    """`replicas` is how many pods it wants, None where it keeps those that it has, or where nobody says.

    `tail` is true once it wants fewer than it began with: which of its pods are left is chance.
    """

    replicas: int | None
    tail: bool


def job_size(spec: OwnerSpec, status: OwnerStatus) -> JobSize:
    """The size of a Job."""
    if spec.managed_by not in (None, "", _CONTROLLER):
        return JobSize(None, tail=False)
    if spec.suspend or any(each.status == "True" and each.type in _ENDED for each in status.job_conditions()):
        return JobSize(0, tail=True)
    parallelism = max(0, spec.parallelism if spec.parallelism is not None else 1)
    succeeded = status.succeeded if type(status.succeeded) is int else 0
    if spec.completions is None:
        # A queue of work that one worker has found empty: the others end in their own time.
        return JobSize(None, tail=True) if succeeded else JobSize(parallelism, tail=False)
    lost = _count(status.failed_indexes.split(",")) if isinstance(status.failed_indexes, str) else 0
    left = max(0, min(parallelism, spec.completions - succeeded - lost))
    return JobSize(left, tail=left < min(parallelism, spec.completions))


def _count(intervals: Iterable[str]) -> int:
    """How many numbers `1`, `3-5` name."""
    count = 0
    for interval in intervals:
        first, _, last = interval.partition("-")
        if first.isdigit() and (last or first).isdigit():
            count += int(last or first) - int(first) + 1
    return count
