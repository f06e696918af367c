"""A fault of our own that an answer about one workload meets: it is that answer's alone, and is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from extender.core.model.errors import WorkloadFaultError
from extender.core.model.objects import OwnerRef
from extender.core.policy.managed import Managed
from extender.core.policy.workload import Workload
from extender.core.state.state import ClusterState

Met = Callable[[Workload, str], None]
"""Is told of a fault that a workload met."""


def _tell_nobody(_workload: Workload, _error: str) -> None:
    """Where nobody listens."""


@contextmanager
def answering(state: ClusterState, namespace: str, owner: OwnerRef | None, met: Met = _tell_nobody) -> Iterator[None]:
    """Make an answer about the workload of an owner, if it has one.

    Raises:
        WorkloadFaultError: that met a fault of our own.
    """
    try:
        yield
    except Exception as error:
        managed = state.workloads.resolve(namespace, owner)
        if not isinstance(managed, Managed):
            raise
        workload = managed.workload
        met(workload, repr(error))
        raise WorkloadFaultError(
            f"{workload.kind} {workload.namespace}/{workload.name} cannot be shown, nor can its pods: "
            f"Spotmix met a fault of its own with this workload alone: {error!r}"
        ) from error
