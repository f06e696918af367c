"""The story of a move in its spans: plan, eviction, replacement, verdict."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from support.doubles import ON_DEMAND, SPOT
from support.doubles_drift import DriftRoom
from support.doubles_kube import refusal
from support.doubles_servers import run_virtually
from support.tracing import Kept

from extender.telemetry.logs import tidy

Check = Callable[[DriftRoom], Awaitable[None]]


def traced(check: Check, **settings: Any) -> Kept:
    """The spans of a check on a cluster with two nodes of each class."""
    kept = Kept()

    async def main() -> None:
        room = DriftRoom(tracer=kept.tracer, **settings)
        room.world.nodes(spot=2, on_demand=2)
        await check(room)

    run_virtually(main)
    return kept


def told(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


async def one_move(room: DriftRoom) -> None:
    room.drifted(on_demand=6, spot=4)
    async with room.running():
        await room.after(60)


def test_a_move_is_told_from_its_plan_to_the_verdict() -> None:
    kept = traced(one_move)
    move = kept.one("move")
    about = told(move)
    assert (about["spotmix.workload"], about["k8s.namespace.name"], about["spotmix.class"]) == (
        "Deployment/web",
        "shop",
        SPOT,
    )
    assert (about["spotmix.reason"], about["spotmix.outcome"], about["spotmix.dry"]) == ("surplus", "moved", False)
    assert about["k8s.node.name"] == "on-demand-0"
    evict, replace = kept.children(move)
    assert (evict.name, told(evict)["spotmix.outcome"]) == ("evict", "started")
    assert told(evict)["k8s.pod.name"] == about["k8s.pod.name"]
    assert (replace.name, told(replace)["spotmix.class"]) == ("replace", SPOT)
    assert told(replace)["spotmix.replacement"] == about["spotmix.replacement"] != about["k8s.pod.name"]
    assert told(replace)["k8s.node.name"] != about["k8s.node.name"]
    assert all(span.status.is_unset for span in (move, evict, replace))
    (plan,) = (span for span in kept.named("drift plan") if move in kept.children(span))
    assert (told(plan)["spotmix.moves"], told(plan)["spotmix.workloads"]) == (1, 1)
    (cycle,) = (span for span in kept.named("drift cycle") if plan in kept.children(span))
    assert cycle.parent is None


def test_its_log_lines_name_its_trace() -> None:
    kept = Kept()
    processors = [lambda _logger, _method, line: {**line, **kept.tracer.log_keys()}]

    async def main() -> None:
        room = DriftRoom(tracer=kept.tracer)
        room.world.nodes(spot=2, on_demand=2)
        await one_move(room)

    with structlog.testing.capture_logs(processors=processors) as lines:
        run_virtually(main)
    context = kept.one("move").context
    assert context is not None
    assert [tidy(None, "", dict(line))["event"] for line in lines] == ["move", "move judged"]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {
        (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    }


@pytest.mark.parametrize(("status", "outcome", "failed"), [(429, "blocked", False), (403, "refused", True)])
def test_a_move_that_is_refused_ends_with_that(status: int, outcome: str, *, failed: bool) -> None:
    async def check(room: DriftRoom) -> None:
        def before(_method: str, path: str) -> None:
            if path.endswith("/eviction"):
                raise refusal(status, "Refused")

        room.cluster.before = before
        room.drifted(on_demand=6, spot=4)
        async with room.running():
            await room.after(4)

    kept = traced(check)
    for move in kept.named("move"):
        assert told(move)["spotmix.outcome"] == outcome
        assert (not move.status.is_unset) is failed
        assert [span.name for span in kept.children(move)] == ["evict"]
    assert kept.named("move")


def test_a_dry_run_is_over_with_its_answer() -> None:
    kept = traced(one_move, read_only=True)
    move = kept.one("move")
    assert (told(move)["spotmix.outcome"], told(move)["spotmix.dry"]) == ("would-move", True)
    assert kept.named("replace") == []


def test_a_move_in_vain_has_failed() -> None:
    async def check(room: DriftRoom) -> None:
        room.cluster.takes = {ON_DEMAND}
        await one_move(room)

    kept = traced(check)
    move = kept.named("move")[0]
    assert told(move)["spotmix.outcome"] == "landed-wrong"
    assert not move.status.is_unset
    assert told(kept.named("replace")[0])["spotmix.class"] == ON_DEMAND


def test_who_leads_next_tells_of_a_move_that_another_began() -> None:
    kept = Kept()

    async def main() -> None:
        first = DriftRoom(tracer=kept.tracer)
        first.world.nodes(spot=2, on_demand=2)
        first.drifted(on_demand=6, spot=4)
        first.cluster.start = 60.0
        async with first.running():
            await first.after(3)
        left = kept.one("move")
        assert told(left)["spotmix.outcome"] == "handed-over"
        assert told(kept.one("replace"))["spotmix.outcome"] == "handed-over"
        second = DriftRoom(first.objects, first.world, kept.tracer)
        async with second.running():
            await second.after(80)

    run_virtually(main)
    first, second = kept.named("move")
    assert (second.parent, told(second)["spotmix.outcome"]) == (None, "moved")
    assert told(second)["k8s.pod.uid"] == told(first)["k8s.pod.uid"]
    assert [span.name for span in kept.children(second)] == ["replace"]


def test_nothing_is_kept_of_moves_that_are_over() -> None:
    rooms: list[DriftRoom] = []

    async def check(room: DriftRoom) -> None:
        rooms.append(room)
        await one_move(room)

    kept = traced(check)
    spans = rooms[0].drift._spans
    assert kept.named("move")
    assert (spans._moves, spans._waits) == ({}, {})
