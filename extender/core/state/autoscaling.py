"""What autoscalers said and do: which pods a node is coming for, which are refused one, and which classes are closed.

Two things tell. An Event about a pod counts for that pod alone, since whoever may write in its namespace may write it.
NodeClaims are of the cluster: one that Karpenter says it had no capacity for, and that went without ever having been
launched, closes its class for all that it may have been for. Karpenter names the NodeClaim of a few pods of a burst
only; the others are told by what they ask for, and by the room that is coming.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from extender.core.model.objects import Announcement, NodeClaim
from extender.core.state.closures import Closures, Demand, demand_of
from extender.core.state.launches import ARRIVED, Launch, LaunchRoom, is_proof, may_be_for
from extender.core.state.records import PodRecord

NODE_CLAIMS = "nodeclaims.karpenter.sh"
EVENTS = "events/"
"""Before the reason of Events, in place of a resource."""

MOST_SAID = 4096
"""Pods of which it is kept what was said about them; who was spoken of longest ago gives way."""

MOST_KEPT = 256
KEPT_SECONDS = 120.0
"""How many NodeClaims that are gone or came, and refusals of such, are kept for each other, and how long (seconds)."""


class Autoscaling:
    """The part of the cluster state that knows what autoscalers said.

    Args:
        pods: all pods, by UID.
        unbound: those of them that wait for a node.
        class_labels: the labels that tell a node's class.
        startup: seconds that a node may take to come.

    Attributes:
        closures: classes that cannot be had for a while.
        seen: whether there is an autoscaler, as far as one has shown itself.
    """

    def __init__(
        self,
        pods: Mapping[str, PodRecord],
        unbound: Mapping[str, PodRecord],
        class_labels: frozenset[str],
        startup: float,
    ) -> None:
        self._pods, self._unbound = pods, unbound
        self._class_labels, self._startup = class_labels, startup
        self.closures = Closures(unbound.__contains__)
        self.seen = False
        self._said: OrderedDict[str, Announcement] = OrderedDict()
        self._launches: dict[str, Launch] = {}
        self._gone: OrderedDict[str, tuple[NodeClaim, float]] = OrderedDict()
        self._came: OrderedDict[str, tuple[NodeClaim, float]] = OrderedDict()
        self._refusals: OrderedDict[str, tuple[Announcement, float]] = OrderedDict()
        self._coming: tuple[float, dict[str, str]] | None = None

    def go_by(self, class_labels: frozenset[str], startup: float) -> None:
        """Go by other settings from now on; arguments as of the class."""
        self._class_labels, self._startup = class_labels, startup
        self._coming = None

    # What happens

    def hear(self, said: Announcement, now: float) -> None:
        """An autoscaler said something."""
        if said.void:
            return
        self.seen = True
        if not said.namespace:
            self._refusals[said.about] = (said, now)
            _trim(self._refusals, now)
            self._judge(said.about, now)
            return
        before = self._said.get(said.about)
        if before is not None and before.at > said.at:
            return
        self._said[said.about] = said
        self._said.move_to_end(said.about)
        if len(self._said) > MOST_SAID:
            self._said.popitem(last=False)
        self._coming = None

    def put(self, claim: NodeClaim, now: float) -> None:
        """A NodeClaim was met, or changed."""
        self.seen, self._coming = True, None
        launch = self._launches.get(claim.uid)
        if claim.registered and not (launch is not None and launch.claim.registered):
            self._prove(claim, now)
        if launch is None:
            if claim.ready and not claim.going:
                # Its node has long been there.
                return
            launch = self._launches[claim.uid] = Launch(claim)
        launch.claim = claim
        if claim.ready and not launch.ready_at:
            launch.ready_at = now
        if claim.going and not claim.launched:
            self._judge(claim.uid, now)

    def remove(self, uid: str, now: float) -> None:
        """A NodeClaim is gone."""
        launch = self._launches.pop(uid, None)
        if launch is None:
            return
        self._coming = None
        if not launch.claim.launched:
            self._gone[uid] = (launch.claim, now)
            _trim(self._gone, now)
            self._judge(uid, now)

    def listed(self, uids: frozenset[str], now: float) -> None:
        """There are these NodeClaims (UIDs) and no others."""
        self.seen = True
        for uid in [uid for uid in self._launches if uid not in uids]:
            self.remove(uid, now)

    def bound(self, pod: PodRecord) -> None:
        """A pod got its node: where that has come since its class was closed, it may be had again."""
        node = pod.node
        if len(self.closures) and node is not None and node.facts is not None:
            demand = self.demand(pod)
            self.closures.prove(node.facts.capacity_class, demand.covers, node.steady_since)

    # Questions

    def demand(self, pod: PodRecord) -> Demand:
        """What a pod asks for beside its class."""
        return demand_of(pod, self._class_labels)

    def coming(self, uid: str, now: float) -> str:
        """What a node is coming for a pod by, `nodeclaim/NAME` or in the autoscaler's words; empty where none is."""
        pod, said = self._unbound.get(uid), self._said_of(uid)
        if pod is None:
            return ""
        if said is not None and said.coming and not said.claim and now - said.at < self._startup:
            return said.text
        return self._assigned(now).get(uid, "")

    def refused(self, uid: str) -> str:
        """Why an autoscaler brings no node for a pod, in its words; empty where it has not said so last."""
        said = self._said_of(uid)
        return said.text if said is not None and not said.coming else ""

    def _said_of(self, uid: str) -> Announcement | None:
        """The last word on a pod, if it is about that pod."""
        said, pod = self._said.get(uid), self._pods.get(uid)
        if said is None or pod is None or (said.namespace, said.name) != (pod.namespace, pod.name):
            return None
        return said

    def _assigned(self, now: float) -> dict[str, str]:
        """For each waiting pod that a NodeClaim may be for, which: worked out anew when something was said, or after a
        second.
        """
        if self._coming is None or not 0.0 <= now - self._coming[0] < 1.0:
            self._coming = now, self._assign(now, loosely=True)
        return self._coming[1]

    def _assign(self, now: float, *, loosely: bool) -> dict[str, str]:
        """See `_assigned`; `loosely` has pods wait for what may be for them, though there seems to be no room for them:
        how Karpenter has packed them is not known.
        """
        for uid, launch in list(self._launches.items()):
            if launch.ready_at and now - launch.ready_at >= ARRIVED:
                del self._launches[uid]
        claims = [each.claim for each in self._launches.values() if each.is_open(now, self._startup)]
        if not claims:
            return {}
        found: dict[str, str] = {}
        rooms = {claim.uid: LaunchRoom(claim) for claim in claims}
        named = {claim.name: claim for claim in claims}
        left = []
        for pod in self._waiting():
            said = self._said_of(pod.uid)
            claim = named.get(said.claim) if said is not None and said.coming else None
            if claim is None:
                left.append(pod)
            else:
                rooms[claim.uid].take(pod.requests)
                found[pod.uid] = f"nodeclaim/{claim.name}"
        for pod in left:
            claim = self._claim_for(pod, claims, rooms, now if loosely else None)
            if claim is not None:
                found[pod.uid] = f"nodeclaim/{claim.name}"
        return found

    def _claim_for(
        self, pod: PodRecord, claims: Iterable[NodeClaim], rooms: Mapping[str, LaunchRoom], now: float | None
    ) -> NodeClaim | None:
        """The NodeClaim that has room for a pod; with `now`, any that may be for it while nothing speaks against it."""
        said = self._said_of(pod.uid)
        after = said.at if said is not None and not said.coming else 0.0
        fitting = [claim for claim in claims if claim.created >= after and may_be_for(claim, pod)]
        for claim in fitting:
            if rooms[claim.uid].take(pod.requests):
                return claim
        if not fitting or after or now is None:
            return None
        if self.closures.closed(fitting[0].capacity_class, self.demand(pod), now) is not None:
            return None
        return fitting[0]

    def _waiting(self) -> list[PodRecord]:
        waiting = [pod for pod in self._unbound.values() if not pod.gates and not pod.terminating]
        return sorted(waiting, key=lambda pod: (pod.created, pod.name))

    # Refusals and proofs

    def _judge(self, uid: str, now: float) -> None:
        """Close a class where both is known: there was no capacity for a NodeClaim, and it went unlaunched."""
        refusal = self._refusals.get(uid)
        launch, gone = self._launches.get(uid), self._gone.get(uid)
        claim = gone[0] if gone is not None else launch.claim if launch is not None and launch.claim.going else None
        if refusal is None or claim is None or claim.launched or not claim.capacity_class:
            return
        del self._refusals[uid]
        self._gone.pop(uid, None)
        # Who waits for another NodeClaim is not refused by this one.
        assigned = self._assign(now, loosely=False)
        demands = {
            self.demand(pod)
            for pod in self._waiting()
            if pod.created <= claim.created and pod.uid not in assigned and may_be_for(claim, pod)
        }
        # Times of objects are whole seconds.
        said, since = refusal[0], min(now, float(int(refusal[0].at)))
        came = [
            each
            for each, _ in self._came.values()
            if each.capacity_class == claim.capacity_class and each.created >= since
        ]
        for demand in sorted(demands, key=lambda each: (len(each.narrow), each.size)):
            # What is heard late, as after a start, may long be otherwise.
            if not any(is_proof(each, demand) for each in came):
                self.closures.close(claim.capacity_class, demand, now, said.text, refused=since)
        self._coming = None

    def _prove(self, claim: NodeClaim, now: float) -> None:
        """A node came for a NodeClaim."""
        if now - claim.created < KEPT_SECONDS:
            self._came[claim.uid] = (claim, now)
            _trim(self._came, now)
        if len(self.closures):
            self.closures.prove(claim.capacity_class, lambda demand: is_proof(claim, demand), claim.created)


def _trim(
    kept: "OrderedDict[str, tuple[NodeClaim, float]] | OrderedDict[str, tuple[Announcement, float]]", now: float
) -> None:
    while kept and (len(kept) > MOST_KEPT or now - next(iter(kept.values()))[1] > KEPT_SECONDS):
        kept.popitem(last=False)
