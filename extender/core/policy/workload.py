"""A workload: the object that carries a policy, and what is in force of it."""

from msgspec import Struct

from extender.core.model.objects import OptOut
from extender.core.policy.policy import ParsedPolicy, Policy


class OnDemandAfter(Struct, frozen=True, gc=False):
    """From how many lost pods on a Job goes on on-demand, and the UID of the policy object that says so."""

    policy: str
    count: int


class Workload(Struct, eq=False):
    """The object that carries a policy: the root owner, or the Job of a CronJob.

    `last_valid` is the policy that keeps applying while `parsed` is invalid. `opt_out` forbids to move its pods; the
    pods' own annotations come on top, see `drift.guards.protection_of`. `runs` is the UID of the policy object whose
    ratio is over the pods of batch jobs one after another, empty where none is.
    """

    uid: str
    api_version: str
    kind: str
    namespace: str
    name: str
    parsed: ParsedPolicy
    last_valid: Policy | None = None
    opt_out: OptOut | None = None
    runs: str = ""
    on_demand_after: OnDemandAfter | None = None

    @property
    def policy(self) -> Policy:
        """The policy in force: as written, else the last valid one, else what `ParsedPolicy.policy` says."""
        if not self.parsed.valid and self.last_valid is not None:
            return self.last_valid
        return self.parsed.policy

    @property
    def held(self) -> bool:
        """Whether the workload is held on-demand: its split cannot be read, and its policy never was valid."""
        return not self.parsed.splits and self.last_valid is None
