"""What is seen before an eviction, what it is answered, and what becomes of it, in virtual time."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, make_owner, make_pod
from support.doubles_drift import DriftRoom, pod_path, virtually
from support.doubles_kube import refusal

from extender.core.drift.backoff import BASE
from extender.core.drift.judge import UNSENT
from extender.core.model.objects import OptOut
from extender.core.model.reasons import Reason

DEPLOYMENT = "uid-Deployment-web"


def pod_is_protected(room: DriftRoom) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(make_pod(name, None, "on-demand-0"), annotations={"spotmix.io/do-not-disrupt": "true"})


def pod_was_made_anew(room: DriftRoom) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(replace(make_pod(name, None, "on-demand-0"), uid=f"{name}-again"))


def pod_is_elsewhere(room: DriftRoom) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(make_pod(name, None, "on-demand-1"))


def pod_is_gone(room: DriftRoom) -> None:
    for name in list(room.world.state.pods):
        room.objects.delete(pod_path(name))


def workload_opts_out(room: DriftRoom) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.state.workloads.by_uid[DEPLOYMENT].opt_out = OptOut("spotmix.io/do-not-disrupt", "true")

    room.cluster.before = before


def workload_is_audited(room: DriftRoom) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.annotate("web", 10, spot_percentage=50, mode="audit")

    room.cluster.before = before


def workload_is_managed_no_more(room: DriftRoom) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.up(make_owner("Deployment", "web", 10))

    room.cluster.before = before


@pytest.mark.parametrize(
    "change",
    [
        pod_is_protected,
        pod_was_made_anew,
        pod_is_elsewhere,
        pod_is_gone,
        workload_opts_out,
        workload_is_audited,
        workload_is_managed_no_more,
    ],
)
def test_statement_22_what_changed_since_the_plan_is_seen_before_the_eviction(
    change: Callable[[DriftRoom], None],
) -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted()
        change(room)
        async with room.running():
            await room.after(2)
            assert room.cluster.evictions == []
            assert list(room.drift.memory.history.in_flight()) == []
            assert room.metric("moves_total", result="changed", reason="surplus", mode="enforce") >= 1
            assert room.world.state.reserved == 0

    virtually(check)


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome", "result", "wait"),
    [
        (429, None, "budget", "blocked", BASE["blocked"]),
        (429, 60.0, "later", "blocked", 60.0),
        (403, None, "forbidden", "refused", BASE["refused"]),
        (500, None, "failed", "refused", BASE["refused"]),
        (409, None, "changed", "changed", BASE["changed"]),
        (404, None, "gone", "changed", BASE["changed"]),
    ],
)
def test_statement_12_a_refused_eviction_is_taken_back_and_tried_later_while_others_go_on(
    status: int, retry_after: float | None, outcome: str, result: str, wait: float
) -> None:
    async def check(room: DriftRoom) -> None:
        blocked, other = room.drifted("a"), room.drifted("b")
        for number in range(10):
            fault = refusal(status)
            fault.retry_after = retry_after
            room.cluster.faults[f"a-1-{number}"] = [fault]
        async with room.running():
            await room.after(1.5)
            assert "uid-Deployment-a" not in room.stored
            assert room.metric("moves_total", result=result, reason="surplus", mode="enforce") == 1
            await room.after(12)
            assert room.split(other) == {SPOT: 5, ON_DEMAND: 5}
            await room.after(400)
            assert room.split(blocked) == {SPOT: 5, ON_DEMAND: 5}
        asked = [at for name, at, _ in room.cluster.evictions if name.startswith("a-")]
        assert asked[1] - asked[0] >= wait
        assert room.metric("evictions_total", outcome=outcome, mode="enforce") == len(asked) - 1
        assert {method for method, _ in room.cluster.seen} == {"GET", "POST", "PATCH"}

    virtually(check)


def test_an_eviction_that_nobody_answers_holds_its_budget_until_it_is_clear_what_became_of_it() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        for number in range(10):
            room.cluster.faults[f"web-1-{number}"] = [refusal(504)]
        async with room.running():
            await room.after(UNSENT - 2)
            assert len(room.cluster.evictions) == 1
            assert len(room.stored[DEPLOYMENT]["inFlight"]) == 1
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.metric("moves_total", result="unanswered", reason="surplus", mode="enforce") >= 1
        assert len(room.cluster.granted) == 1

    virtually(check)


def test_a_pod_that_went_although_nobody_answered_counts_as_moved() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()

        def before(_method: str, path: str) -> None:
            if path.endswith("/eviction"):
                room.cluster.granted.append(path)
                room.cluster.end(path.split("/")[-2])
                raise refusal(0, "the answer was lost")

        room.cluster.before = before
        async with room.running():
            await room.after(30)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert len(room.cluster.granted) == 1
        assert room.metric("moves_total", result="moved", reason="surplus", mode="enforce") == 1

    virtually(check)


def test_statement_06_and_07_moves_in_vain_become_rare_and_end_and_say_why() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        # The scheduler does not heed us.
        room.cluster.takes = {ON_DEMAND}
        async with room.running():
            await room.after(7200)
            assert room.split(owner) == {SPOT: 4, ON_DEMAND: 6}
            stays = room.drift.view.stays
        assert len(room.cluster.granted) == 3
        assert stays == {Reason.CIRCUIT_OPEN: 1}
        asked = [at for _, at, _ in room.cluster.evictions]
        assert asked[1] - asked[0] >= 60
        assert asked[2] - asked[1] >= 120
        notes = room.events("MoveInVain")
        assert len(notes) == 3
        assert "on on-demand node on-demand-" in notes[0]
        assert "it was not placed on spot, though spot-" in notes[0]
        assert [note for note in notes if "; no other such move for 60 s" in note]
        (opened,) = room.events("CircuitOpen")
        assert "for 24 h, or until its policy changes" in opened
        assert room.metric("circuits_opened_total") == 1
        assert room.metric("moves_total", result="landed-wrong", reason="surplus", mode="enforce") == 3

    virtually(check)


def test_a_replacement_that_never_comes_is_told_of() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted()
        room.cluster.start = None
        async with room.running():
            await room.after(60)
        (note,) = room.events("MoveInVain")
        assert note.startswith("No pod has come in the place of web-1-")

    virtually(check, replacement_timeout="30s")


def test_statement_31_a_pod_that_does_not_end_is_told_of_and_nothing_else_is_moved() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=8, spot=2)
        room.cluster.grace = 600.0
        async with room.running():
            await room.after(5)
            (name,) = room.cluster.granted
            record = room.world.state.pods[name]
            assert record.revision is not None
            late = {"terminating": True, "due": room.now() - 50, "created": record.created}
            room.cluster.see(make_pod(name, record.revision.owner, "on-demand-0", **late))
            await room.after(20)
            assert next(iter(room.drift.memory.history.in_flight())).stuck
            await room.after(300)
        assert room.cluster.granted == [name]
        assert len(room.events("MoveStuck")) == 2
        assert room.metric("moves_total", result="stuck", reason="surplus", mode="enforce") == 1

    virtually(check)
