"""What is told of the runs of a policy, of a pod and of its Job."""

from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_owner, make_pod, make_policy, make_view, shares

from extender.cli.explain_text import text_of
from extender.core.answers.pod import explain_pod
from extender.core.answers.seats import RunsOf, SeatsOf
from extender.core.answers.workload import explain_owner
from extender.core.model.reasons import Reason


def after(ended: int) -> World:
    """So many runs have ended, and one more is decided."""
    world = World()
    nodes = world.nodes(spot=1, on_demand=1)
    world.up(make_policy("ci", count="Runs", **shares(70)))
    world.state.runs.synced()
    for n in range(ended + 1):
        job = make_owner("Job", f"step-{n}", 1)
        world.up(job)
        decision = world.decide(make_view(f"pod-{n}", job.ref), nodes)
        if n < ended:
            pod = make_pod(f"pod-{n}", job.ref, (decision.nodes or [""])[0])
            world.up(pod, replace(pod, ended=True), replace(job, replicas=0, tail=True))
    return world


def test_a_pod_and_its_job_tell_of_the_runs_before() -> None:
    world = after(4)
    wanted = RunsOf("PlacementPolicy shop/ci", (SeatsOf(ON_DEMAND, 2, 2, 0), SeatsOf(SPOT, 3, 2, 1)))
    pod = explain_pod(world.state, world.state.pods["pod-4"], world.now)
    assert pod.runs == wanted
    assert pod.outcome is not None
    assert (pod.outcome.reason, pod.outcome.wanted) == (Reason.RUN, SPOT)
    assert pod.seat is not None
    assert (pod.seat.number, pod.seat.capacity_class, pod.seat.beyond) == (5, SPOT, False)
    job = explain_owner(world.state, world.state.workloads.owners["uid-Job-step-4"], world.now)
    assert job.runs == wanted
    # It has one replica, which alone would never be on spot.
    assert (pod.problems, job.problems) == ((), ())
    for explained in (pod, job):
        titles = [str(each) for each in text_of(explained, world.now, wide=False)]
        assert "Runs of PlacementPolicy shop/ci" in titles


def test_who_counts_alone_tells_of_none() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 1)
    world.up(make_pod("web-0", owner, "on-demand-0"))
    assert explain_pod(world.state, world.state.pods["web-0"], world.now).runs is None
