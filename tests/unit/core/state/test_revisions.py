"""The part of the state that counts pods and holds seats, alone: what it tells the outbox, and what it drops."""

import pytest
from support.doubles import ON_DEMAND, SPOT, make_node

from extender.core.model.objects import OwnerRef, Requests
from extender.core.state.outbox import Outbox
from extender.core.state.records import NodeRecord, PodRecord, PodTraits, Reservation, replacing
from extender.core.state.revisions import Revisions

OWNER = OwnerRef("rs", "apps/v1", "ReplicaSet", "web")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def revisions(outbox: Outbox) -> Revisions:
    return Revisions(outbox)


def add(revisions: Revisions, uid: str, node: NodeRecord | None) -> PodRecord:
    record = PodRecord(uid, "shop", uid, node, revisions.of(OWNER, "shop"), Requests(), 0.0)
    revisions.add(record)
    revisions.recount(record)
    return record


def held(pod: str, capacity_class: str = SPOT, at: float = 0.0) -> Reservation:
    return Reservation(pod, "shop", OWNER, capacity_class, at)


def node(capacity_class: str = SPOT) -> NodeRecord:
    return NodeRecord("n", make_node("n", capacity_class), [])


def test_a_pod_counts_under_the_class_of_its_node(revisions: Revisions, outbox: Outbox) -> None:
    where = node()
    pod = add(revisions, "a", where)
    add(revisions, "b", None)
    revision = revisions.by_uid["rs"]
    assert (pod.counted, revision.filled) == (SPOT, {SPOT: 1})
    assert outbox.take_touched() == outbox.take_reseat() == {revision}
    revisions.recount(pod)
    assert not outbox.take_touched(), "nothing has changed"
    where.facts = make_node("n", ON_DEMAND)
    revisions.recount(pod)
    assert revision.filled == {SPOT: 0, ON_DEMAND: 1}
    pod.traits = PodTraits(terminating=True)
    revisions.recount(pod)
    assert (pod.counted, revision.filled) == ("", {SPOT: 0, ON_DEMAND: 0})


def test_a_pod_that_is_counted_needs_no_reservation(revisions: Revisions) -> None:
    revisions.reserve(held("a"))
    assert (revisions.reserved, revisions.by_uid["rs"].reserved) == (1, {SPOT: 1})
    add(revisions, "a", node())
    assert (revisions.reserved, revisions.by_uid["rs"].reserved) == (0, {SPOT: 0})


def test_a_revision_is_dropped_with_its_last_pod_and_reservation(revisions: Revisions, outbox: Outbox) -> None:
    pod = add(revisions, "a", None)
    revisions.reserve(held("b"))
    revisions.remove(pod)
    assert (pod.revision, list(revisions.by_uid)) == (None, ["rs"])
    revisions.release("b")
    revisions.release("b")
    assert not revisions.by_uid
    assert not outbox.take_touched(), "nobody has to look at what is gone"


def test_a_new_pod_takes_over_the_seat_that_is_held_for_a_replacement(revisions: Revisions) -> None:
    revisions.reserve(held(replacing("gone"), at=1.0))
    revisions.reserve(held("new", ON_DEMAND, at=2.0))
    assert [each.pod for each in revisions.reservations()] == ["new"]
    assert list(revisions.reserved_classes()) == [ON_DEMAND]
    assert (revisions.reserved_since(2.0), revisions.reserved_since(3.0)) == (["new"], [])
