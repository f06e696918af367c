"""What `status` and `explain` print for people."""

from collections.abc import Iterable

import pytest
from support.doubles import (
    NO_SCHEDULE,
    World,
    announce,
    make_node,
    make_node_claim,
    make_owner,
    make_pod,
    make_policy,
    shares,
)

from extender.cli.explain_text import PODS, text_of
from extender.cli.output import Part, print_text
from extender.cli.status_text import state_of, tables
from extender.cli.wanted import Wanted
from extender.core.answers.overview import overview
from extender.core.answers.pod import explain_pod
from extender.core.answers.scope import Scope
from extender.core.answers.workload import explain_owner
from extender.core.model.objects import Requests


@pytest.fixture
def world() -> World:
    return World()


class LookScreen:
    """What was printed, without the spaces at the ends of lines."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def show(self, parts: Iterable[Part]) -> str:
        print_text(parts)
        return "\n".join(line.rstrip() for line in self.capsys.readouterr().out.splitlines())

    def pod(self, world: World, uid: str, *, wide: bool = False) -> str:
        return self.show(text_of(explain_pod(world.state, world.state.pods[uid], world.now), world.now, wide=wide))

    def owner(self, world: World, uid: str, *, wide: bool = False) -> str:
        owner = world.state.workloads.owners[uid]
        return self.show(text_of(explain_owner(world.state, owner, world.now), world.now, wide=wide))


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> LookScreen:
    return LookScreen(capsys)


HOW = 'by the label spotmix.io/enabled: "true", or by a policy object.'


def test_status(world: World, screen: LookScreen) -> None:
    world.nodes(spot=1, on_demand=1)
    web = world.deployment("web", 2, spot_percentage=50)
    world.up(*(make_pod(uid, web, "on-demand-0") for uid in "ab"))
    world.deployment("api", 1, spot_percentage="all")
    shown = overview(world.state, world.now)
    assert screen.show(tables(shown, "", wide=False)).splitlines() == [
        "NAMESPACE   WORKLOAD         REPLICAS   SPOT   ON-DEMAND   PENDING   CONDITION",
        "shop        Deployment/api          1    0/0         0/1         0   held on demand, incomplete",
        "shop        Deployment/web          2    0/1         2/1         0   off target",
        "",
        "2 workloads: 1 held on demand, 1 off target, 1 incomplete. Replicas: 0/1 spot, 2/2 on-demand.",
    ]
    wide = screen.show(tables(shown, "", wide=True)).splitlines()
    assert wide[2].split() == (
        ["shop", "Deployment/web", "2", "0/1", "2/1", "1", "0", "0", "-", "enforce", "valid", "-", "0", "off", "target"]
    )
    assert wide[-1].split() == ["spot", "m.large", "a", "1", "0", "0", "0", "0"]


def test_status_names_the_policy_objects_when_it_is_wide(world: World, screen: LookScreen) -> None:
    world.up(make_policy("web", **shares(50)), make_policy("all", of_cluster=True, mode="Audit"))
    world.deployment("web", 2)
    wide = screen.show(tables(overview(world.state, world.now), "", wide=True)).splitlines()
    assert "   BY                " in wide[0]
    assert "   pp/web, cpp/all   " in wide[1]


def test_status_of_nothing_says_how_to_begin(world: World, screen: LookScreen) -> None:
    where = Wanted("shop").where
    text = screen.show(tables(overview(world.state, world.now, Scope("shop")), where, wide=False))
    assert text == "No managed workloads in namespace shop: none is opted in " + HOW


def test_a_surplus_pod(world: World, screen: LookScreen) -> None:
    world.nodes(spot=2, on_demand=1)
    world.up(make_node("spot-1", taints=(NO_SCHEDULE,)))
    web = world.deployment("web", 2, spot_percentage=50)
    world.up(*(make_pod(uid, web, "on-demand-0", created=float(number)) for number, uid in enumerate("ab")))
    assert screen.pod(world, "b").splitlines() == [
        "Pod shop/b",
        "  belongs to       Deployment web, ReplicaSet web-1",
        "  runs on          on-demand-0 (on-demand, m.large, a)",
        "  seat             3, on-demand, beyond the 2 that are wanted",
        "  surplus          1 of 2 on-demand pods is too many, spot lacks some",
        "  if placed anew   spot, 1 node would pass: takes the first unfilled seat of its workload",
        "",
        "Seats of its revision",
        "CLASS       SEATS   FILLED   RESERVED",
        "on-demand       1        2          0",
        "spot            1        0          0",
        "",
        "spot: its seat's class, 2 nodes",
        "NODES   BECAUSE                                              SUCH AS",
        "    1   the pod may go there                                 spot-0",
        "    1   a taint that the pod does not tolerate (dedicated)   spot-1",
        "",
        "on-demand: may stand in, 1 node",
        "NODES   BECAUSE                                              SUCH AS",
        "    1   another capacity class than that of the pod's seat   on-demand-0",
        "",
        "Scores of nodes that would pass, and of its own",
        "NODE          TOTAL   FOR CLASS   FOR POOL   FOR NODE   FOR HEALTH",
        "spot-0            7           4          0          2            1",
        "on-demand-0       1           0          0          0            1",
        "",
        "Policy",
        "KEY               IN FORCE   FROM",
        "spot-percentage   50         Deployment shop/web",
    ]


def test_pods_that_wait(world: World, screen: LookScreen) -> None:
    offered = world.nodes(on_demand=1)
    web = world.deployment("web", 1, spot_percentage=100, fallback_after="5m")
    world.up(make_pod("p", web, created=world.now - 10))
    assert (
        "  if asked now   no node would pass: waits for its capacity class before it falls back, which it does in 4m"
        in screen.pod(world, "p").splitlines()
    )
    world.place(web, offered, uid="p")
    world.now += 90
    lines = screen.pod(world, "p").splitlines()
    assert "  reserved       spot, 90s ago" in lines
    assert "  waits          for 90s: waits for its capacity class before it falls back" in lines
    table = screen.owner(world, "uid-Deployment-web").splitlines()
    row = "no node yet, wants spot: waits for its capacity class before it falls back"
    assert any(line.split(maxsplit=4)[4:] == [row] for line in table if line.startswith("p "))


def test_what_is_wrong_is_told(world: World, screen: LookScreen) -> None:
    world.nodes(on_demand=1)
    world.up(make_node("on-demand-0", "on-demand", going_away="karpenter.sh/disrupted"))
    web = world.deployment("web", 1, spot_percentage="all", mode="audit")
    world.up(make_pod("p", web, "on-demand-0"), make_pod("q", web, "on-demand-0", terminating=True))
    lines = screen.pod(world, "p").splitlines()
    for line in (
        "  runs on          on-demand-0 (on-demand, m.large, a), which is about to go away: karpenter.sh/disrupted",
        "  policy           invalid, and never was valid: held on-demand",
        "  mode             audit: decided and reported, nothing changed",
        "spot-percentage   0          Deployment shop/web, where 'all' is written and not in force",
        "Problems",
    ):
        assert line in lines
    fault = "  Deployment shop/web: spotmix.io/spot-percentage='all' is not a percentage; write a whole number"
    assert any(line.startswith(fault) for line in lines)
    assert "  ends             it is being deleted and holds no seat" in screen.pod(world, "q").splitlines()


def test_unmanaged(world: World, screen: LookScreen) -> None:
    world.nodes(spot=1)
    world.up(make_pod("bare", None, "spot-0"))
    assert screen.pod(world, "bare").splitlines() == [
        "Pod shop/bare",
        "  runs on   spot-0 (spot, m.large, a)",
        "  managed   no: no object controls it",
    ]
    world.deployment("plain", 1, labels={})
    unmanaged = "neither it nor its Namespace has the label that opts in, and no policy selects it"
    assert screen.owner(world, "uid-Deployment-plain").splitlines() == [
        "Deployment shop/plain",
        f"  managed   no: {unmanaged} (Deployment shop/plain)",
    ]


def test_a_workload_with_its_pods(world: World, screen: LookScreen) -> None:
    world.nodes(spot=1, on_demand=1)
    web = world.deployment("web", 3, spot_percentage=34, min_on_demand=2)
    world.up(make_pod("a", web, "spot-0", created=1.0), make_pod("b", web, "spot-0", created=2.0, ready=False))
    world.up(make_pod("c", web, "on-demand-0", created=3.0))
    assert screen.owner(world, "uid-Deployment-web").splitlines()[:13] == [
        "Deployment shop/web",
        "  state      floor breached, off target",
        "  replicas   3: 2/1 spot, 1/2 on-demand",
        "  floor      1 replicas short",
        "",
        "Revisions (filled/seats)",
        "REVISION           REPLICAS   ON-DEMAND   SPOT   RESERVED   SURPLUS   PENDING   ROLLOUT",
        "ReplicaSet/web-1          3         1/2    2/1          0         1         0",
        "",
        "Pods",
        "POD   SEAT   CLASS       NODE          STATE",
        "c        1   on-demand   on-demand-0   ready",
        "a        3   spot        spot-0        ready",
    ]
    wide = screen.owner(world, "uid-Deployment-web", wide=True)
    assert "INSTANCE TYPE" in wide
    # Wide has the keys that nobody wrote, too.
    assert "when-unsatisfiable" in wide


def test_long_lists_are_cut_and_say_so(world: World, screen: LookScreen) -> None:
    world.nodes(on_demand=1)
    web = world.deployment("web", PODS + 3)
    world.up(*(make_pod(f"p{number:03}", web, "on-demand-0") for number in range(PODS + 3)))
    assert "  and 3 more; -o wide has them all" in screen.owner(world, "uid-Deployment-web").splitlines()
    assert "more;" not in screen.owner(world, "uid-Deployment-web", wide=True)


def test_nodes_of_a_class_that_no_policy_names(world: World, screen: LookScreen) -> None:
    world.up(make_node("r1", "reserved"), make_node("r2", "reserved", zone="b"))
    shown = screen.show(tables(overview(world.state, world.now), "", wide=False))
    assert "2 nodes of class reserved take no managed replica: no policy names the class." in shown.splitlines()


def test_a_workload_without_replicas_and_a_node_of_no_pool(world: World, screen: LookScreen) -> None:
    cron = make_owner("CronJob", "nightly", labels={"spotmix.io/enabled": "true"})
    world.up(cron)
    assert screen.owner(world, cron.uid).splitlines()[:2] == ["CronJob shop/nightly", "  replicas   none"]
    job = make_owner("Job", "nightly-1", 1, owner=cron.ref)
    small = make_node("n", "on-demand", instance_type="", zone="", allocatable=Requests(cpu=1))
    world.up(job, small, make_pod("p", job.ref, "n"))
    assert "  runs on          n (on-demand)" in screen.pod(world, "p").splitlines()


def test_colours_are_for_terminals(world: World, screen: LookScreen) -> None:
    world.deployment("web", 1, spot_percentage="all")
    assert "\x1b" not in screen.show(tables(overview(world.state, world.now), "", wide=True))


def test_a_gated_pod_and_one_with_its_class(world: World, screen: LookScreen) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=50, enforcement="affinity")
    written = make_pod("sent", owner, written="spot", created=world.now - 12)
    world.up(
        make_pod("gated", owner, gates=("kueue.x-k8s.io/admission", "spotmix.io/placement"), created=world.now - 30),
        written,
        make_pod("there", owner, "spot-0", written="spot"),
    )
    gated, sent, there = (screen.pod(world, name) for name in ("gated", "sent", "there"))
    assert "for 30s, by kueue.x-k8s.io/admission, spotmix.io/placement: no scheduler" in gated
    assert "gated, its seat is" in gated
    assert "spot is written on it, no node yet, 12s after its creation" in sent
    assert "spot is written on it\n" in there
    claim = make_node_claim("spot-x", labels={})
    world.up(claim, announce(written, coming=True, claim="spot-x"))
    assert "for Karpenter: nominated to nodeclaim/spot-x" in screen.pod(world, "sent")
    (row,) = overview(world.state, world.now).workloads
    assert state_of(row).plain.endswith(", 1 gated")
