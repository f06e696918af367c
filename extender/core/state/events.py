"""What can happen to the cluster state: `ClusterState.apply` takes one of these.

`resource` is a watched resource's name as `ApiResource.key` has it: `pods`, `replicasets.apps`.
"""

from msgspec import Struct

from extender.core.model.objects import Object
from extender.core.policy.rules import PolicyRules


class Upsert(Struct, frozen=True, gc=False):
    """An object was listed, added or modified."""

    object: Object


class Gone(Struct, frozen=True, gc=False):
    """An object was deleted."""

    resource: str
    uid: str


class Listed(Struct, frozen=True, gc=False):
    """A list of a resource is complete: whatever is known of it and not among `uids` is gone."""

    resource: str
    uids: frozenset[str]


class Unavailable(Struct, frozen=True, gc=False):
    """Owners of a kind cannot be watched (no such API, or forbidden)."""

    group: str
    kind: str


class Forgotten(Struct, frozen=True, gc=False):
    """Of a kind that could not be watched nothing is known any more: it is looked for again when it is met."""

    group: str
    kind: str


class Sighted(Struct, frozen=True, gc=False):
    """Something that tells of an autoscaler is there, or is there no more; `sign` is how people are told of it."""

    sign: str
    there: bool


class Continued(Struct, frozen=True, gc=False):
    """Nothing happened: the state goes on with what it put off (see `Workloads.judge_anew`)."""


class Reconfigured(Struct, frozen=True, gc=False):
    """The configuration has changed: from now on these rules count, and these times (seconds), see `ClusterState`."""

    rules: PolicyRules
    reservation_ttl: float
    half_life: float
    startup: float


Event = Upsert | Gone | Listed | Unavailable | Forgotten | Sighted | Continued | Reconfigured
