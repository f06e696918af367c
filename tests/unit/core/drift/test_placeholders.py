"""Placeholders: when they end, what is given up, and that none is left."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import announce, make_pod
from support.placeholderscene import EVICTED, ON_DEMAND_ALONE, RULES, PlaceholderScene, labelled

from extender.core.drift.actions import Evict
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.gated import STALE, RoomForGated
from extender.core.drift.placeholder import Ask, Clear, Drop, Ended, Ending, Made, NotMade
from extender.core.drift.placeholder_backoff import FIRST
from extender.core.drift.placeholders import AGAIN, COMES, POLL
from extender.core.model.control import NEVER
from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.placement.gates import CLEARED, GateController


@pytest.fixture
def scene() -> PlaceholderScene:
    return PlaceholderScene()


def moved(scene: PlaceholderScene, owner: OwnerRef) -> tuple[Ask, Evict]:
    """One placeholder proves room, and one pod is evicted for it."""
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    record = scene.world.state.pods[evict.move.pod.uid]
    pod = make_pod(record.uid, owner, "on-demand-0", created=record.created)
    assert scene.drift.confirm(evict, pod, 0.0, scene.now) == ""
    scene.drift.done(evict, EVICTED, scene.now)
    scene.world.gone("pods", evict.move.pod.uid)
    return ask, evict


def test_it_stays_until_its_pod_is_evicted() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    scene.standing_in(count=2)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    assert scene.drops() == []
    woken: list[bool] = []
    scene.placeholders.on_wish = lambda: woken.append(True)
    scene.drift.done(evict, EVICTED, scene.now)
    # The replacement is about to be made: whoever drives it asks at once.
    assert woken
    assert scene.drops() == [ask.name]
    assert [each.ending for each in scene.end(ask.name)] == [Ending.USED]


def test_that_of_a_stateful_set_stays_until_its_pod_has_ended() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.world.stateful("db", ["on-demand"] * 2, spot_percentage=50, enforcement="affinity")
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    scene.drift.done(evict, EVICTED, scene.now)
    uid = evict.move.pod.uid
    scene.world.up(make_pod(uid, owner, "on-demand-0", terminating=True, created=scene.now - 600.0))
    assert scene.drops() == []
    scene.world.gone("pods", uid)
    assert scene.drops() == [ask.name]


def test_a_replacement_is_let_go_once_the_placeholder_is_gone() -> None:
    """A scheduler might choose it as a victim while it is deleted here."""
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.standing_in(count=1)
    gates = GateController(scene.world.state)
    gates.prover = RoomForGated(scene.world.state, scene.placeholders)
    ask, _ = moved(scene, owner)
    new = make_pod("new", owner, gates=(gates.gate,), scheduler=None, created=scene.now)
    other = make_pod("other", scene.world.deployment("other", 1, spot_percentage=100), gates=(gates.gate,))
    scene.world.up(new, other)
    # That of another workload is not waited for.
    assert [release.pod.name for release in gates.due(scene.now)] == ["other"]
    assert gates.next_at == scene.now + CLEARED
    assert scene.drops() == [ask.name]
    scene.world.now += CLEARED
    assert gates.due(scene.now) == []
    scene.end(ask.name)
    scene.world.now += CLEARED
    assert [(each.pod.name, each.capacity_class) for each in gates.due(scene.now)] == [("new", "spot")]


def test_a_placeholder_that_does_not_go_holds_no_replacement_for_long() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.standing_in(count=1)
    gates = GateController(scene.world.state)
    gates.prover = RoomForGated(scene.world.state, scene.placeholders)
    moved(scene, owner)
    scene.world.up(make_pod("new", owner, gates=(gates.gate,), scheduler=None, created=scene.now))
    assert gates.due(scene.now) == []
    scene.world.now += STALE
    assert [release.pod.name for release in gates.due(scene.now)] == ["new"]


def test_one_that_gave_way_was_used() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.standing_in(count=2)
    ask, _ = moved(scene, owner)
    assert [each.ending for each in scene.end(ask.name)] == [Ending.USED]


def test_the_next_asks_once_the_pod_had_time_to_come_for_which_one_made_way() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.standing_in(count=2)
    ask, evict = moved(scene, owner)
    scene.end(ask.name)
    # Its scheduler would place it where the other was, and the pod would have to preempt it.
    scene.world.now += COMES - POLL
    assert scene.asks() == []
    scene.world.now += POLL
    (following,) = scene.asks()
    assert following.wish.pod.uid not in ("", evict.move.pod.uid)


def test_an_eviction_that_is_refused_leaves_the_room_for_another_pod(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    assert scene.drops() == []
    scene.drift.done(evict, Outcome(Answer.FORBIDDEN, 403, "no"), scene.now)
    scene.world.now += 60.0
    assert len(scene.cycle(1.0)) == 1


def test_what_does_not_come_in_time_is_given_up_and_asked_again_later_each_time(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    for wait in (60.0, 120.0, 240.0):
        (ask,) = scene.asks()
        scene.make(ask)
        scene.world.now += RULES.node_startup + 1
        assert scene.drops() == [ask.name]
        (ended,) = scene.end(ask.name)
        assert (ended.ending, ended.until) == (Ending.TIMED_OUT, scene.now + wait)
        scene.cycle(wait - 1.0)
        assert scene.asks() == []
        scene.world.now += 1.0
    assert len(scene.asks()) == 1


def test_those_of_pods_that_went_are_for_others_of_their_workload(scene: PlaceholderScene) -> None:
    owner = scene.standing_in(count=2)
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    given: dict[str, Any] = {"requests": Requests(cpu=500), "written": "on-demand", "constraints": ON_DEMAND_ALONE}
    for ask in asks:
        scene.world.gone("pods", ask.wish.pod.uid)
        scene.world.up(make_pod(f"new-{ask.name}", owner, "on-demand-0", **given))
    scene.cycle()
    assert len(asks) == 2
    assert scene.due() == []


def test_those_that_were_asked_together_fail_once(scene: PlaceholderScene) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.world.now += RULES.node_startup + 1
    scene.due()
    ended = scene.end(*(ask.name for ask in asks))
    assert {each.until for each in ended} == {scene.now + RULES.back_off}


def test_a_node_of_the_class_that_joins_ends_the_back_off(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.world.now += RULES.node_startup + 1
    scene.due()
    scene.end(ask.name)
    scene.cycle(1.0)
    assert scene.asks() == []
    scene.world.up(labelled("full", allocatable=Requests(cpu=10)))
    scene.world.state.nodes["full"].steady_since = scene.now
    assert len(scene.asks()) == 1


def test_one_that_the_autoscaler_refuses_is_given_up_at_once(scene: PlaceholderScene) -> None:
    scene.standing_in(count=2)
    scene.cycle()
    first, second = scene.asks()
    scene.make(first, second)
    scene.world.up(announce(scene.pod(first)), announce(scene.pod(second), coming=True, at=scene.now))
    assert scene.drops() == [first.name]
    (ended,) = scene.end(first.name)
    assert (ended.ending, ended.detail, ended.until) == (Ending.REFUSED, "no capacity", scene.now + FIRST)
    assert scene.placeholders.is_coming(second.wish.place, scene.now)
    # What was bound in time has its node, whatever was said before.
    scene.world.up(announce(scene.pod(second), at=scene.now))
    scene.run(second)
    assert scene.drops() == []


def refused(scene: PlaceholderScene) -> None:
    """A placeholder is asked for, and refused by the autoscaler; then it is the time to ask again."""
    (ask,) = scene.asks()
    scene.make(ask)
    scene.world.up(announce(scene.pod(ask)))
    assert scene.drops() == [ask.name]
    (ended,) = scene.end(ask.name)
    scene.world.now = ended.until - 0.5
    assert scene.asks() == []
    scene.world.now = ended.until


def test_what_was_refused_for_a_while_is_found_to_be_back_within_a_quarter_of_it(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    began = scene.now
    waits = []
    for _ in range(20):
        asked = scene.now
        refused(scene)
        waits.append(scene.now - asked)
        assert waits[-1] <= FIRST + (asked - began) / 4 + 0.001
    assert waits == sorted(waits)


def test_what_is_refused_for_ever_is_asked_for_at_the_longest_wait() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1, max_back_off=20.0))
    scene.standing_in(count=1)
    scene.cycle()
    for _ in range(9):
        asked = scene.now
        refused(scene)
    assert scene.now - asked == 20.0


def test_it_goes_when_its_workload_changes(scene: PlaceholderScene) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.world.annotate("web", 10, spot_percentage=10, enforcement="affinity", max_moves_per_hour=100)
    scene.cycle(1.0)
    assert len(scene.drops()) == 2
    scene.world.gone("deployments.apps", "uid-Deployment-web")
    assert len(scene.drops()) == 1
    assert {each.ending for each in scene.end(*(ask.name for ask in asks))} == {Ending.UNNEEDED}
    assert scene.placeholders.next_at == NEVER


def test_one_that_is_not_answered_may_be_there(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.done(ask, NotMade("unanswered", "timeout"), scene.now)
    (drop,) = scene.due()
    assert isinstance(drop, Drop)
    assert drop == Drop(ask.name, "")
    scene.placeholders.done(drop, False, scene.now)
    assert scene.due() == []
    scene.world.now += AGAIN
    (drop,) = scene.due()
    assert isinstance(drop, Drop)
    scene.placeholders.done(drop, True, scene.now)
    assert scene.asks() == [ask]


def test_what_the_api_server_denies_is_told_and_backs_off(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.done(ask, NotMade("denied", "exceeded quota"), scene.now)
    (ended,) = scene.due()
    assert isinstance(ended, Ended)
    assert (ended.ending, ended.detail, ended.until) == (Ending.DENIED, "exceeded quota", scene.now + RULES.back_off)
    proofs = scene.placeholders.proofs(scene.now)
    (refusal,) = proofs.refused.values()
    assert (refusal.reason, refusal.detail) == (Reason.PLACEHOLDER_DENIED, "exceeded quota")
    # Room that is there still serves.
    scene.spot()
    assert len(scene.cycle()) == 1


def test_one_that_is_made_after_the_end_of_a_term_goes(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.stop()
    scene.placeholders.done(ask, Made("late"), scene.now)
    assert scene.due() == [Drop(ask.name, "late")]
    scene.cycle()
    assert scene.due() == []


def test_strays_go_before_any_is_asked_for() -> None:
    scene = PlaceholderScene()
    scene.placeholders.take_over(scene.now)
    scene.standing_in()
    scene.cycle()
    (clear,) = scene.due()
    assert isinstance(clear, Clear)
    scene.placeholders.done(clear, False, scene.now)
    assert scene.due() == []
    scene.world.now += AGAIN
    (clear,) = scene.due()
    assert isinstance(clear, Clear)
    scene.placeholders.done(clear, True, scene.now)
    assert len(scene.asks()) == RULES.placeholders
    assert scene.placeholders.next_at == scene.now + POLL
