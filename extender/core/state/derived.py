"""Owners that no watch delivers as such: they stand for what is above the pods of one namespace.

* A pod that controls others, as a Spark driver does: its labels and its own owner are known.
* An object of a kind that cannot be read: its Namespace alone can speak for its pods.
* An object of a cluster-scoped kind, once for each namespace that has pods of it: the Namespace of the pods counts.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from extender.core.model.objects import EMPTY, Owner
from extender.core.policy.managed import PolicyChanged
from extender.core.policy.owners import DERIVED, stand_in
from extender.core.policy.workloads import Workloads
from extender.core.state.records import PodRecord, Revision


class DerivedOwners:
    """Keeps them beside the others.

    Args:
        workloads: where they are kept.
        revisions: by the UID of their controller.
        pods: by UID.
    """

    def __init__(self, workloads: Workloads, revisions: Mapping[str, Revision], pods: Mapping[str, PodRecord]) -> None:
        self._workloads, self._revisions, self._pods = workloads, revisions, pods
        self._elsewhere: dict[str, set[str]] = {}
        self._starts = tuple(f"{prefix}/" for prefix in workloads.rules.prefixes)

    def look_at(self, revision: Revision) -> Iterable[PolicyChanged]:
        """A revision came or went, or the pod that controls it changed."""
        workloads, ref, namespace = self._workloads, revision.owner, revision.namespace
        known = workloads.owners.get(ref.uid)
        first, _, elsewhere = ref.uid.partition("/")
        if self._revisions.get(ref.uid) is not revision:
            if elsewhere:
                self._forget(first, ref.uid)
            return workloads.remove_owner(ref.uid) if known is not None and known.resource == DERIVED else ()
        if elsewhere:
            self._elsewhere.setdefault(first, set()).add(ref.uid)
        base = workloads.cluster_scoped.get(first)
        if base is not None:
            return self.place(base)
        if known is not None and known.resource != DERIVED:
            return ()
        if ref.is_a("", "Pod"):
            pod = self._pods.get(ref.uid)
            return workloads.upsert_owner(self._of_pod(pod)) if pod is not None and pod.namespace == namespace else ()
        if (ref.group, ref.kind) in workloads.unavailable:
            return workloads.upsert_owner(stand_in(ref, namespace))
        return ()

    def place(self, base: Owner) -> list[PolicyChanged]:
        """An object of a cluster-scoped kind was met or changed: it stands in every namespace that has pods of it."""
        workloads = self._workloads
        workloads.cluster_scoped[base.uid] = base
        own = self._revisions.get(base.uid)
        elsewhere = sorted(self._elsewhere.get(base.uid, ()))
        # Where pods are in several namespaces, nobody says how many there should be in each.
        size = base.replicas if not elsewhere else None
        local = replace(base, namespace=own.namespace if own is not None else "", replicas=size)
        changes = list(workloads.upsert_owner(local))
        for uid in elsewhere:
            there = replace(base, uid=uid, namespace=uid.partition("/")[2], replicas=None, resource=DERIVED)
            changes += workloads.upsert_owner(there)
        return changes

    def removed(self, uid: str) -> list[PolicyChanged]:
        """An object is gone: what stood for it, too."""
        self._workloads.cluster_scoped.pop(uid, None)
        gone = self._elsewhere.pop(uid, ())
        return [change for each in gone for change in self._workloads.remove_owner(each)]

    def _forget(self, base: str, uid: str) -> None:
        places = self._elsewhere.get(base, set())
        places.discard(uid)
        if not places:
            self._elsewhere.pop(base, None)

    def _of_pod(self, pod: PodRecord) -> Owner:
        labels = pod.labels.labels if pod.labels is not None else EMPTY
        return Owner(
            uid=pod.uid,
            resource=DERIVED,
            api_version="v1",
            kind="Pod",
            namespace=pod.namespace,
            name=pod.name,
            owner=pod.revision.owner if pod.revision is not None else None,
            labels={key: value for key, value in labels.items() if key.startswith(self._starts)},
            annotations=EMPTY,
            created=pod.created,
            all_labels=labels,
        )
