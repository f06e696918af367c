"""The cluster state against a model that counts everything anew, under any events in any order."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.doubles import RULES, make_node, make_pod
from support.examples import examples

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints, PodTerm
from extender.core.model.objects import EMPTY, Node, OwnerRef, Pod, Requests
from extender.core.state.events import Gone, Listed, Upsert
from extender.core.state.provisional import LIFE
from extender.core.state.records import Reservation
from extender.core.state.state import ClusterState, Released

NODES = st.sampled_from(["n0", "n1", "n2"])
PODS = st.sampled_from([f"p{i}" for i in range(6)])
OWNERS = st.sampled_from([OwnerRef(f"o{i}", "apps/v1", "ReplicaSet", f"o{i}") for i in range(2)])
CLASSES = st.sampled_from(["spot", "on-demand"])
REQUESTS = st.sampled_from([Requests(), Requests(100, 10), Requests(250, 0, 5, (("gpu", 1),))])
LABELS = st.sampled_from([EMPTY, {"app": "a"}, {"app": "a"}, {"app": "b"}])
DEMANDS = st.sampled_from([NO_CONSTRAINTS, Constraints(claims=("c",)), Constraints(anti_affinity=(PodTerm("zone"),))])
TTL = 100.0


class AnyEvents(RuleBasedStateMachine):
    """`model_...` hold the facts alone; what the state derives from them is derived again in the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ClusterState(RULES, TTL)
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, Pod] = {}
        self.reserved: dict[str, Reservation] = {}
        self.provisional: dict[str, Reservation] = {}
        self.ended: set[str] = set()

    def known(self, pod: Pod) -> bool:
        return pod.node in self.nodes

    def settle(self) -> None:
        for uid in list(self.reserved):
            pod = self.pods.get(uid)
            if pod is not None and (pod.terminating or self.known(pod)):
                del self.reserved[uid]

    def forget_pod(self, uid: str) -> None:
        self.pods.pop(uid, None)
        self.reserved.pop(uid, None)
        self.provisional.pop(uid, None)
        self.ended.add(uid)

    def forget_node(self, uid: str) -> None:
        for name in [name for name, node in self.nodes.items() if node.uid == uid]:
            del self.nodes[name]

    @rule(name=NODES, generation=st.integers(0, 1), capacity_class=CLASSES, going=st.sampled_from(["", "taint"]))
    def node(self, name: str, generation: int, capacity_class: str, going: str) -> None:
        node = make_node(name, capacity_class, uid=f"{name}-{generation}", going_away=going)
        self.nodes[name] = node
        self.state.apply(Upsert(node), self.now)
        self.settle()

    @rule(name=NODES, generation=st.integers(0, 1))
    def node_gone(self, name: str, generation: int) -> None:
        self.forget_node(f"{name}-{generation}")
        self.state.apply(Gone("nodes", f"{name}-{generation}"), self.now)

    @rule(uids=st.frozensets(st.sampled_from([f"n{i}-{g}" for i in range(3) for g in range(2)])))
    def nodes_listed(self, uids: frozenset[str]) -> None:
        for uid in {node.uid for node in self.nodes.values()} - uids:
            self.forget_node(uid)
        self.state.apply(Listed("nodes", uids), self.now)

    @rule(
        uid=PODS,
        owner=OWNERS | st.none(),
        node=st.just("") | NODES,
        phase=st.sampled_from(["running", "running", "running", "terminating", "terminating", "ended"]),
        asked=REQUESTS,
        labels=LABELS,
        demands=DEMANDS,
    )
    def pod(
        self,
        *,
        uid: str,
        owner: OwnerRef | None,
        node: str,
        phase: str,
        asked: Requests,
        labels: Mapping[str, str],
        demands: Constraints,
    ) -> None:
        old = self.pods.get(uid)
        same = old is not None and old.owner == owner
        # A binding is for ever.
        bound = old.node if old is not None and same and old.node else node
        pod = make_pod(
            uid,
            owner,
            bound,
            terminating=phase == "terminating",
            ended=phase == "ended",
            requests=asked,
            labels=labels,
            constraints=demands,
        )
        if pod.ended:
            self.forget_pod(uid)
        else:
            if old is not None and not same:
                self.reserved.pop(uid, None)
                self.ended.discard(uid)
            self.pods[uid] = pod
            claim = self.provisional.pop(uid, None)
            if claim is not None and claim.owner == owner:
                self.reserved[uid] = claim
        self.state.apply(Upsert(pod), self.now)
        self.settle()

    @rule(uid=PODS)
    def pod_gone(self, uid: str) -> None:
        self.forget_pod(uid)
        self.state.apply(Gone("pods", uid), self.now)

    @rule(uids=st.frozensets(PODS))
    def pods_listed(self, uids: frozenset[str]) -> None:
        for uid in set(self.pods) - uids:
            self.forget_pod(uid)
        self.state.apply(Listed("pods", uids), self.now)

    @rule(uid=PODS, owner=OWNERS, capacity_class=CLASSES)
    def reserve(self, uid: str, owner: OwnerRef, capacity_class: str) -> None:
        reservation = Reservation(uid, "shop", owner, capacity_class, self.now)
        pod = self.pods.get(uid)
        if pod is not None and not (pod.terminating or self.known(pod)):
            self.reserved[uid] = reservation
        if pod is None and uid not in self.ended:
            self.provisional[uid] = reservation
        self.state.apply(reservation, self.now)

    @rule(uid=PODS)
    def release(self, uid: str) -> None:
        self.reserved.pop(uid, None)
        self.provisional.pop(uid, None)
        self.state.apply(Released(uid), self.now)

    @rule(seconds=st.sampled_from([1.0, LIFE, 101.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.state.expire(self.now)
        self.provisional = {uid: held for uid, held in self.provisional.items() if self.now - held.at <= LIFE}

    @invariant()
    def seats_are_counted_by_real_node(self) -> None:
        wanted: dict[str, Counter[str]] = {}
        for pod in self.pods.values():
            node = self.nodes.get(pod.node)
            if pod.owner and node and not node.going_away and not pod.terminating:
                wanted.setdefault(pod.owner.uid, Counter())[node.capacity_class] += 1
        seen = {uid: Counter(r.filled) for uid, r in self.state.revisions.items() if any(r.filled.values())}
        assert {uid: +counts for uid, counts in seen.items()} == wanted
        assert all(count >= 0 for r in self.state.revisions.values() for count in r.filled.values())

    @invariant()
    def revisions_are_those_that_are_used(self) -> None:
        used = {pod.owner.uid for pod in self.pods.values() if pod.owner}
        used |= {reservation.owner.uid for reservation in self.reserved.values()}
        assert set(self.state.revisions) == used
        for revision in self.state.revisions.values():
            owner = revision.owner.uid
            assert {p.uid for p in revision.pods} == {
                uid for uid, pod in self.pods.items() if pod.owner and pod.owner.uid == owner
            }
        assert self.state.outbox.reseat | self.state.outbox.touched <= set(self.state.revisions.values())

    @invariant()
    def reservations_are_those_that_count(self) -> None:
        held = {uid: r for revision in self.state.revisions.values() for uid, r in revision.reservations.items()}
        assert held == self.reserved
        assert self.state.reserved == len(self.reserved)
        claimed = {uid: held for i in range(2) for uid, held in self.state.provisional.of(f"o{i}").items()}
        assert claimed == self.provisional
        assert len(self.state.provisional) == len(self.provisional)

    @invariant()
    def nodes_are_charged_for_their_pods(self) -> None:
        assert set(self.state.pods) == set(self.pods)
        used = {pod.node for pod in self.pods.values() if pod.node}
        assert set(self.state.nodes) == used | set(self.nodes)
        for name, record in self.state.nodes.items():
            asked = [pod.requests for pod in self.pods.values() if pod.node == name]
            assert len(record.pods) == len(asked)
            assert (record.cpu, record.memory, record.ephemeral) == (
                sum(r.cpu for r in asked),
                sum(r.memory for r in asked),
                sum(r.ephemeral for r in asked),
            )
            assert (record.extended or {}).get("gpu", 0) == sum(dict(r.extended).get("gpu", 0) for r in asked)

    @invariant()
    def pods_are_found_by_what_they_are(self) -> None:
        groups = self.state.pod_labels("shop")
        assert {(pod.uid, *group.labels.items()) for group in groups for pod in group.pods} == {
            (uid, *pod.labels.items()) for uid, pod in self.pods.items()
        }
        assert all(pod.labels is group for group in groups for pod in group.pods)
        waiting = {uid for uid, pod in self.pods.items() if not pod.node and not pod.terminating}
        assert set(self.state.unbound) == {record.uid for record in self.state.unbound.values()} == waiting
        repelling = {uid for uid, pod in self.pods.items() if pod.node and pod.constraints.anti_affinity}
        assert {record.uid for record in self.state.repelling} == repelling

    @invariant()
    def placeable_nodes_are_the_known_that_stay(self) -> None:
        seen = {(c, name) for c, nodes in self.state.placeable.items() for name in nodes}
        assert seen == {(n.capacity_class, name) for name, n in self.nodes.items() if not n.going_away}


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(examples(150), stateful_step_count=40)
