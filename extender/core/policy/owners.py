"""Kinds of owners: those whose pods are managed, and owners that stand for some that cannot be read."""

from extender.core.model.objects import EMPTY, Owner, OwnerRef

NEVER_MANAGED = frozenset({"DaemonSet", "Node"})
"""Kinds whose pods are never managed; a mirror pod is owned by its Node."""

KEEPERS = NEVER_MANAGED | {"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"}
"""Kinds that keep their pods: what these do is never done."""

_DIVIDED = {"Deployment": "apps", "CronJob": "batch"}
"""Kinds whose size is that of what they control: never of pods that somebody lets them control themselves."""


DERIVED = "derived"
"""In place of the resource of an owner that came from none, see `core.state.derived`."""


def stand_in(ref: OwnerRef, namespace: str) -> Owner:
    """An owner that cannot be read, of pods in a namespace: nothing is known of it but its name."""
    return Owner(ref.uid, DERIVED, ref.api_version, ref.kind, namespace, ref.name, None, EMPTY, EMPTY)


def is_unread(owner: Owner) -> bool:
    """Whether it is a stand-in."""
    return owner.resource == DERIVED and owner.kind != "Pod" and "/" not in owner.uid


def is_divided_kind(owner: Owner) -> bool:
    """Whether a kind has others make its pods; pods that it controls itself are made by somebody in its name."""
    return owner.kind in _DIVIDED and _DIVIDED[owner.kind] == owner.group
