"""What pages show, whatever the cluster is called and however large it is."""

import re
from html.parser import HTMLParser

import pytest
from support.console import ConsoleBench
from support.doubles import ENABLED, keys, make_node, make_owner, make_pod, ref

from extender.core.classes import ON_DEMAND, SPOT
from extender.core.drift.moves import Move, PodId, Subject
from extender.core.reasons import Reason

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}'


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.fixture
def bench() -> ConsoleBench:
    bench = ConsoleBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


def off_target(bench: ConsoleBench, name: str = "web", replicas: int = 4) -> None:
    owner = bench.world.deployment(name, replicas, spot_percentage=50)
    bench.world.up(*(make_pod(f"{name}-{n}", owner, "on-demand-0") for n in range(replicas)))


def at_split(bench: ConsoleBench, name: str) -> None:
    owner = bench.world.deployment(name, 2, spot_percentage=50)
    bench.world.up(make_pod(f"{name}-0", owner, "on-demand-0"), make_pod(f"{name}-1", owner, "spot-0"))


def names(text: str) -> list[str]:
    """The workloads of a page, in its order."""
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', text)


def order_of(text: str) -> list[str]:
    """The nodes of a page, in its order."""
    return re.findall(r'<th scope="row" class="name">([^<]*)<', text)


def test_the_overview_has_the_worst_first_and_its_numbers(bench: ConsoleBench) -> None:
    at_split(bench, "fine")
    off_target(bench)
    page = bench.page("/console")
    assert names(page.text) == ["web", "fine"]
    for text in ("1 to 2 of 2 workloads", "0 of 2 spot", "4 of 2 on-demand", "1 of 3 spot", "off target"):
        assert text in page.text
    assert bench.page("/console/").text == page.text


def test_search_filter_sort_and_paging(bench: ConsoleBench) -> None:
    for number in range(60):
        at_split(bench, f"fine-{number:02}")
    off_target(bench, "odd", 8)
    first = bench.page("/console?sort=name")
    assert names(first.text) == [f"fine-{number:02}" for number in range(50)]
    assert "1 to 50 of 61 workloads" in first.text
    assert '<a rel="next" href="/console?sort=name&amp;page=2">' in first.text
    assert names(bench.page("/console?sort=name&page=2").text)[-1] == "odd"
    assert names(bench.page("/console?page=99").text) == names(bench.page("/console?page=2").text)
    assert names(bench.page("/console?q=SHOP+odd").text) == ["odd"]
    assert names(bench.page("/console?show=off-target").text) == ["odd"]
    assert names(bench.page("/console?sort=replicas").text)[0] == "odd"
    nothing = bench.page("/console?q=nobody").text
    assert "No workloads" in nothing
    assert "No workload is like that" in nothing


def test_an_empty_cluster_says_what_to_do() -> None:
    assert "spotmix.io/enabled" in ConsoleBench().page("/console").text


def test_a_workload_with_what_keeps_its_pods(bench: ConsoleBench) -> None:
    off_target(bench)
    bench.world.up(make_owner("Deployment", "web", 4, labels=ENABLED, annotations=keys(spot_percentage=75)))
    text = bench.page("/console/workloads/shop/Deployment/web").text
    # The plan moves what it may, and says of the others why not.
    assert Reason.YOUNG.text in text or Reason.SURPLUS.text in text
    for part in ("web-1", "on-demand-0", "spot-percentage", "Deployment shop/web", "min-on-demand 0", "m.large"):
        assert part in text
    assert "ReplicaSet" in bench.page("/console/workloads/shop/ReplicaSet/web-1").text


def test_a_pod_that_waits_says_why_and_decisions_are_shown(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("web", 1, spot_percentage=100, when_unsatisfiable="wait")
    bench.world.up(make_pod("web-0", owner))
    bench.decide(owner, "web-0", "on-demand-0")
    text = bench.page("/console/workloads/shop/Deployment/web").text
    assert text.count("waits for a node of its capacity class") == 2
    live = bench.page("/console/live").text
    assert 'data-after="1"' in live
    assert "wants spot" in live
    assert "web-0" not in bench.page("/console/live?q=other").text
    assert "web-0" in bench.page("/console/live?q=%231").text
    assert "web-0" not in bench.page("/console/live?q=%232").text


def test_a_cronjob_is_shown_by_the_youngest_of_its_jobs(bench: ConsoleBench) -> None:
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=50))
    jobs = [make_owner("Job", f"nightly-{n}", 2, owner=ref(cron), created=float(n)) for n in range(3)]
    bench.world.up(cron, *jobs, make_pod("nightly-2-a", ref(jobs[2]), "spot-0"))
    assert "nightly-2-a" in bench.page("/console/workloads/shop/CronJob/nightly").text


def test_a_workload_that_nobody_manages_says_so(bench: ConsoleBench) -> None:
    bench.world.deployment("plain", 2, labels={})
    text = bench.page("/console/workloads/shop/Deployment/plain").text
    assert "Spotmix does not manage it" in text


def test_nodes_and_pools(bench: ConsoleBench) -> None:
    bench.world.up(
        make_node("leaving", SPOT, going_away="karpenter.sh/disrupted", zone="b"),
        make_node("ill", ON_DEMAND, ready=False),
        make_node("shut", ON_DEMAND, unschedulable=True),
    )
    text = bench.page("/console/nodes").text
    assert order_of(text)[:3] == ["shut", "leaving", "ill"]
    assert "karpenter.sh/disrupted" in text
    assert order_of(bench.page("/console/nodes?show=going+away").text) == ["leaving"]
    assert "1 to 1 of 1 nodes" in bench.page("/console/nodes?q=karpenter").text


def test_the_plan_with_moves_under_way_and_pauses(bench: ConsoleBench) -> None:
    off_target(bench)
    workload = next(iter(bench.world.state.workloads.by_uid.values()))
    subject = Subject(workload.uid, "Deployment", "shop", "web", "uid-ReplicaSet-web-1")
    move = Move(PodId("shop", "web-3", "web-3"), "on-demand-0", subject, ON_DEMAND, SPOT, "spot-0", Reason.SURPLUS)
    bench.history.started(move, bench.world.state, bench.world.now)
    text = bench.page("/console/plan").text
    assert "Under way" in text
    assert "web-3" in text
    bench.current = False
    bench.paused = Reason.STALE
    assert Reason.STALE.text in ConsoleBench.page(bench, "/console/plan").text


def test_a_replica_that_decides_nothing_says_so(bench: ConsoleBench) -> None:
    bench.obstacle = Reason.NOT_LEADER
    assert "This replica decides nothing now" in bench.page("/console").text


def test_names_from_the_cluster_are_text_on_every_page(bench: ConsoleBench) -> None:
    world = bench.world
    world.up(make_node(HOSTILE, SPOT, zone=HOSTILE, instance_type=HOSTILE, going_away=HOSTILE))
    top = make_owner(
        "Deployment", HOSTILE, 4, namespace=HOSTILE, labels=ENABLED, annotations=keys(spot_percentage=HOSTILE)
    )
    below = make_owner("ReplicaSet", HOSTILE, 4, namespace=HOSTILE, owner=ref(top))
    pod = make_pod(HOSTILE, ref(below), HOSTILE, namespace=HOSTILE, name=HOSTILE)
    world.up(top, below, pod)
    bench.decide(ref(below), "p", HOSTILE, namespace=HOSTILE, name=HOSTILE)
    link = re.search(r'href="(/console/workloads/[^"]*)"', bench.page("/console").text)
    assert link is not None
    for path in ("/console", link[1], "/console/nodes", "/console/plan", "/console/live"):
        text = bench.page(f"{path}?q=" if path != link[1] else path).text
        tags = Tags(text)
        assert [tag for tag, attrs in tags.seen if tag == "script" and "src" not in attrs] == []
        assert not [name for _, attrs in tags.seen for name in attrs if name.startswith("on") or name == "style"]
        assert not any(attrs.get("src") == "x" for _, attrs in tags.seen)
        assert "49" not in re.findall(r"\{\{[^}]*\}\}|49", text)


@pytest.mark.parametrize("path", ["", "/nodes", "/plan", "/live"])
def test_what_is_searched_for_is_text_too(bench: ConsoleBench, path: str) -> None:
    text = bench.page(f"/console{path}?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%3Cb%3E&page=%00").text
    assert "<script>" not in text
    assert "<b>&" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_many_workloads_make_no_longer_page(bench: ConsoleBench) -> None:
    for number in range(300):
        at_split(bench, f"w-{number}")
    assert len(names(bench.page("/console").text)) == 50
