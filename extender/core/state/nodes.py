"""Nodes: what each is, which may have pods, and which are taken away."""

from collections import OrderedDict
from collections.abc import Callable
from sys import intern

from extender.core.model.objects import Node, Notice
from extender.core.state.census import Census
from extender.core.state.interruptions import Interruption, Interruptions
from extender.core.state.outbox import Outbox
from extender.core.state.records import ALONE, NodeRecord, PodRecord, Pool

# An Event about a node may come after its end.
_LEFT = 256


class Nodes:
    """The part of the cluster state that knows nodes.

    Args:
        interruptions: is told of spot nodes that are taken away.
        outbox: is told of revisions that others have to look at.

    Attributes:
        by_name: all; those too that only a pod names yet.
        placeable: the nodes that pods may hold seats on, by class and name.
        interrupted: those that are about to be taken away and that nobody else drains.
        census: how nodes of each class are marked.
        moved: is told of each pod whose node came, went, or is of another class or marked otherwise.
    """

    def __init__(self, interruptions: Interruptions, outbox: Outbox) -> None:
        self.by_name: dict[str, NodeRecord] = {}
        self.placeable: dict[str, dict[str, NodeRecord]] = {}
        self.interrupted: set[NodeRecord] = set()
        self.census = Census()
        self.moved: Callable[[PodRecord], None] = lambda _record: None
        self._uids: dict[str, str] = {}
        self._left: OrderedDict[str, tuple[Node, Pool]] = OrderedDict()
        self._interruptions, self._outbox = interruptions, outbox

    def named(self, name: str) -> NodeRecord:
        """The node that a pod names, whether the watch has delivered it or not."""
        record = self.by_name.get(name)
        if record is None:
            record = self.by_name[name] = NodeRecord(name, None, [])
        return record

    def forget_unknown(self, record: NodeRecord) -> None:
        """No pod names a node any more, perhaps: one that the watch does not know is not kept then."""
        if record.facts is None and not record.pods:
            self.by_name.pop(record.name, None)

    def last_facts(self, name: str) -> Node | None:
        """A node as it is, or as it was when it went a moment ago."""
        known = self.by_name.get(name)
        if known is not None and known.facts is not None:
            return known.facts
        return self._left[name][0] if name in self._left else None

    def uids(self) -> list[str]:
        """The UIDs of the nodes that the watch has delivered."""
        return list(self._uids)

    def upsert(self, node: Node, now: float) -> None:
        """A node was met, or changed."""
        record = self.by_name.get(node.name)
        if record is None:
            record = self.by_name[node.name] = NodeRecord(node.name, node, [])
            old = None
        else:
            old = record.facts
        record.facts = node
        self.census.change(old, node)
        _place(record, node)
        self._uids[node.uid] = node.name
        if old is not None and old.uid != node.uid:
            self._uids.pop(old.uid, None)
        record.steady_since = _steady_since(record, old, node, now)
        self._judge_marker(record, node, now)
        moved = (
            old is None or old.capacity_class != node.capacity_class or bool(old.going_away) != bool(node.going_away)
        )
        if moved:
            if old is not None:
                self.placeable.get(old.capacity_class, {}).pop(node.name, None)
            if record.placeable:
                self.placeable.setdefault(node.capacity_class, {})[node.name] = record
            for pod in record.pods:
                self.moved(pod)
        if node.interrupted != (record in self.interrupted):
            self._touch_pods_of(record)
            self.interrupted ^= {record}

    def _judge_marker(self, record: NodeRecord, node: Node, now: float) -> None:
        """Record that a spot node is about to be taken away; take that back when it is not after all."""
        if not node.going_away:
            self._interruptions.withdraw(node.uid, now)
        elif node.interruptible and node.reclaimed:
            self._interruptions.record(node.uid, Interruption(record.pool, now, marker=True), now)

    def notice(self, said: Notice, now: float) -> None:
        """An Event says that a node is interrupted: believed of spot nodes that there are, or were a moment ago."""
        node, pool = (None, None) if said.void else self._meant(said)
        if node is None or pool is None or not node.interruptible:
            return
        if said.deliberate and (node.going_away or node.unschedulable):
            return
        self._interruptions.record(node.uid, Interruption(pool, said.at), now)

    def _meant(self, said: Notice) -> tuple[Node | None, Pool | None]:
        """The node that an Event is about, and its pool."""
        record = self.by_name.get(said.name)
        here = (record.facts, record.pool) if record is not None else (None, None)
        for node, pool in (here, self._left.get(said.name, (None, None))):
            # Some write the name in place of the UID, or nothing: then it may be about an older node of that name.
            nameless = said.about in ("", said.name)
            if node is not None and (node.uid == said.about or (nameless and said.at >= node.since)):
                return node, pool
        return None, None

    def remove(self, uid: str, now: float | None) -> None:
        """A node is gone; `now` is None when its end was missed, and with it any sign of what was to come."""
        name = self._uids.pop(uid, None)
        record = self.by_name.get(name) if name is not None else None
        if record is None or record.facts is None or record.facts.uid != uid:
            return
        facts = record.facts
        if now is not None and facts.interruptible and not facts.going_away and not facts.unschedulable:
            # Whoever gives a node back on purpose marks or cordons it first: this one was taken without notice.
            self._interruptions.record(facts.uid, Interruption(record.pool, now), now)
        if facts.interruptible:
            self._left[record.name] = (facts, record.pool)
            if len(self._left) > _LEFT:
                self._left.popitem(last=False)
        self.placeable.get(facts.capacity_class, {}).pop(record.name, None)
        self.census.change(facts, None)
        self.interrupted.discard(record)
        record.facts = None
        for pod in record.pods:
            self.moved(pod)
        if not record.pods:
            del self.by_name[record.name]

    def _touch_pods_of(self, record: NodeRecord) -> None:
        self._outbox.touch(*(pod.revision for pod in record.pods if pod.revision is not None))


def _steady_since(record: NodeRecord, old: Node | None, node: Node, now: float) -> float:
    """Since when a node has been Ready and not going away, as far as it is known: a restart forgets a withdrawal."""
    if old is None or old.uid != node.uid:
        return node.since
    withdrawn = old.going_away and not node.going_away
    return max(node.since, now if withdrawn else record.steady_since)


def _place(record: NodeRecord, node: Node) -> None:
    """Take in where a node is. What is counted by pool is counted anew when a node's labels were changed."""
    pool = (intern(node.instance_type), intern(node.zone))
    if pool == ("", ""):
        pool = (intern(f"{ALONE}{node.name}"), "")
    if pool != record.pool:
        record.pool = pool
        for pod in record.pods:
            if pod.revision is not None:
                pod.revision.spread = None
    record.group = intern(f"{node.capacity_class}/{pool[0]}/{pool[1]}")
