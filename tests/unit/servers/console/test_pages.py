"""What pages show, whatever the cluster is called and however large it is."""

import asyncio
import html
import re
from html.parser import HTMLParser

import pytest
from support.console import ConsoleBench, at_split, off_target
from support.doubles import ENABLED, keys, make_node, make_owner, make_pod, make_policy, shares

from extender.core.drift.moves import Move, WorkloadRef
from extender.core.drift.turns import SLICE
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.servers.console.rendering import clock_time

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


def test_policy_objects_are_named_in_rows_and_on_the_page_of_a_workload(bench: ConsoleBench) -> None:
    bench.world.up(make_policy("web", **shares(50)), make_policy("all", of_cluster=True, mode="Audit"))
    at_split(bench, "fine")
    assert "Deployment in shop, by pp/web, cpp/all<" in bench.page("/console").text
    page = bench.page("/console/workloads/shop/Deployment/fine").text
    assert "By PlacementPolicy shop/web and ClusterPlacementPolicy all." in page


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
    jobs = [make_owner("Job", f"nightly-{n}", 2, owner=cron.ref, created=float(n)) for n in range(3)]
    bench.world.up(cron, *jobs, make_pod("nightly-2-a", jobs[2].ref, "spot-0"))
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
    subject = WorkloadRef(workload.uid, "Deployment", "shop", "web", "uid-ReplicaSet-web-1")
    move = Move(PodId("shop", "web-3", "web-3"), "on-demand-0", subject, ON_DEMAND, SPOT, "spot-0", Reason.SURPLUS)
    bench.history.started(move, bench.world.state, bench.world.now)
    text = bench.page("/console/plan").text
    assert "Under way" in text
    assert "web-3" in text
    bench.current = False
    bench.paused = Reason.STALE
    assert Reason.STALE.text in ConsoleBench.page(bench, "/console/plan").text


def test_the_plan_is_for_every_workload_and_moves_no_more_than_may_be_moved_at_once(bench: ConsoleBench) -> None:
    workloads = 2 * SLICE + 50
    bench.world.now = 10_000.0
    for number in range(workloads):
        off_target(bench, f"w-{number:03}")
    # More pods than one page has: two of each workload's four are too many.
    text = bench.page("/console/plan").text
    assert f"<dt>Workloads with pods to move</dt><dd><b>{workloads}</b>" in text
    assert "<dt>Moves next</dt><dd><b>10</b>" in text
    assert f"<dt>Stay</dt><dd><b>{2 * workloads - 10}</b>" in text
    assert f"1 to 50 of {2 * workloads - 10} pods that stay" in text
    assert Reason.CLUSTER_BUDGET.text.removeprefix("spotmix: ") in text
    # What is searched for is found wherever it is.
    found = bench.page("/console/plan?q=w-249").text
    assert "1 to 2 of 2 pods that stay" in found
    assert "<dt>Moves next</dt><dd><b>0</b>" in found
    assert bench.history.workloads == {}
    nowhere = bench.page("/console/plan?namespace=search").text
    assert "<dt>Stay</dt><dd><b>0</b>" in nowhere


async def test_others_get_their_turn_while_a_plan_is_made(bench: ConsoleBench) -> None:
    slices = 4
    for number in range(slices * SLICE):
        off_target(bench, f"w-{number:03}")
    await bench.get("/console")
    page = asyncio.create_task(bench.get("/console/plan"))
    turns = 0
    while not page.done():
        await asyncio.sleep(0)
        turns += 1
    assert f"<b>{slices * SLICE}</b>" in (await page).text
    assert turns > slices


def test_the_plan_begins_with_what_is_about_to_be_taken_away(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("safe", 2, spot_percentage=100)
    bench.world.up(make_node("doomed", SPOT, going_away="aws-node-termination-handler/spot-itn", interrupted=True))
    bench.world.up(make_pod("safe-0", owner, "doomed"), make_pod("safe-1", owner, "spot-0"))
    text = bench.page("/console/plan").text
    assert "<dt>Moves next</dt><dd><b>1</b>" in text
    assert "/console/pods/shop/safe-0" in text


def test_a_pod_says_why_it_is_where_it_is(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("web", 4, spot_percentage=75, min_on_demand=1)
    bench.world.up(make_node("leaving", SPOT, going_away="karpenter.sh/disrupted"))
    bench.world.up(*(make_pod(f"web-{n}", owner, "on-demand-0") for n in range(4)))
    bench.decide(owner, "web-3", "spot-0", "on-demand-0")
    text = bench.page("/console/pods/shop/web-3").text
    plain = " ".join(re.sub("<[^>]*>", " ", text).split())
    for part in (
        "Runs on on-demand-0 on-demand m.large, a",
        "Belongs to web Deployment in shop by ReplicaSet web-1",
        "Surplus 3 of 4 on-demand pods are too many, spot lacks some",
        "If placed anew spot , 2 nodes would pass",
        "Seats of its revision",
        "What each node is to it now",
        "spot its seat's class 2",
        "karpenter.sh/disrupted",
        "on-demand may stand in",
        "Scores of nodes that would pass, and of its own",
        "spot-percentage 75 Deployment shop/web",
    ):
        assert part in html.unescape(plain), part
    # Three are too many: each of those says what keeps it, or that it goes.
    pages = [bench.page(f"/console/pods/shop/web-{n}").text for n in range(4)]
    assert sum(page.count("Is not moved") + page.count("Is moved next") for page in pages) == 3
    # And what was decided on it, once.
    assert len(re.findall(r'data-number="(\d+)"', text)) == 1
    assert '<a href="/console/pods/shop/web-3">' in bench.page("/console/workloads/shop/Deployment/web").text
    assert '<a href="/console/pods/shop/web-3">' in bench.page("/console/live").text


def test_a_pod_that_waits(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("web", 1, spot_percentage=100, when_unsatisfiable="wait")
    bench.world.up(make_pod("web-0", owner))
    bench.decide(owner, "web-0", "on-demand-0")
    text = html.unescape(re.sub("<[^>]*>", " ", bench.page("/console/pods/shop/web-0").text))
    assert "no node yet" in text
    assert "waits for a node of its capacity class" in text
    assert "If asked now" in text


def test_decisions_that_repeat_one_another_are_one_row(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("web", 3, spot_percentage=100, when_unsatisfiable="wait")
    bench.world.up(make_pod("web-0", owner), make_pod("web-1", owner))
    for _ in range(4):
        bench.decide(owner, "web-0", "on-demand-0")
        bench.decide(owner, "web-1", "on-demand-0")
        bench.world.now += 1.0
    bench.decide(owner, "web-1", "spot-0")
    pod = bench.page("/console/pods/shop/web-0").text
    assert re.findall(r'data-number="(\d+)"', pod) == ["7"]
    assert f"4 times since {clock_time(bench.world.now - 4.0)}" in pod
    workload = bench.page("/console/workloads/shop/Deployment/web").text
    assert re.findall(r'data-number="(\d+)"', workload) == ["9", "8", "7"]
    assert workload.count("4 times since") == 2
    # Where they are followed each has its row.
    assert len(re.findall(r'data-number="(\d+)"', bench.page("/console/live").text)) == 9


def test_a_pod_that_nobody_manages_and_one_that_is_about_to_end(bench: ConsoleBench) -> None:
    bench.world.up(make_pod("alone", None, "spot-0"), make_pod("ending", None, "spot-0", terminating=True))
    assert "Spotmix does not manage it" in bench.page("/console/pods/shop/alone").text
    assert "It is being deleted" in bench.page("/console/pods/shop/ending").text


async def test_a_pod_that_is_gone_has_its_decisions_left(bench: ConsoleBench) -> None:
    owner = bench.world.deployment("web", 1, spot_percentage=100)
    bench.decide(owner, "web-0", "spot-0", met=False)
    page = await bench.get("/console/pods/shop/web-0")
    assert (page.status, "It is not there any more" in page.text, 'data-number="1"' in page.text) == (200, True, True)
    for other in ("/console/pods/shop/web-1", "/console/pods/other/web-0", "/console/pods/shop"):
        assert (await bench.get(other)).status == 404


def test_a_replica_that_decides_nothing_says_so(bench: ConsoleBench) -> None:
    bench.obstacle = Reason.NOT_LEADER
    assert "This replica decides nothing now" in bench.page("/console").text


def test_names_from_the_cluster_are_text_on_every_page(bench: ConsoleBench) -> None:
    world = bench.world
    world.up(make_node(HOSTILE, SPOT, zone=HOSTILE, instance_type=HOSTILE, going_away=HOSTILE))
    top = make_owner(
        "Deployment", HOSTILE, 4, namespace=HOSTILE, labels=ENABLED, annotations=keys(spot_percentage=HOSTILE)
    )
    below = make_owner("ReplicaSet", HOSTILE, 4, namespace=HOSTILE, owner=top.ref)
    pod = make_pod(HOSTILE, below.ref, HOSTILE, namespace=HOSTILE, name=HOSTILE)
    world.up(top, below, pod)
    bench.decide(below.ref, "p", HOSTILE, namespace=HOSTILE, name=HOSTILE)
    link = re.search(r'href="(/console/workloads/[^"]*)"', bench.page("/console").text)
    assert link is not None
    pod_link = re.search(r'href="(/console/pods/[^"]*)"', bench.page(link[1]).text)
    assert pod_link is not None
    alone = (link[1], pod_link[1])
    for path in ("/console", *alone, "/console/nodes", "/console/plan", "/console/live"):
        text = bench.page(f"{path}?q=" if path not in alone else path).text
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
