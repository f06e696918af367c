"""How the demo looks, from facts alone."""

import io

import pytest
from rich.console import Console

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Node, Owner, OwnerRef, Requests
from extender.sandbox.demo.facts import Look, PodFact
from extender.sandbox.demo.screen import Scene, picture
from extender.sandbox.demo.show import LiveShow, PlainShow, choose_show
from extender.sandbox.demo.story import stay_lines


def node(name: str, capacity_class: str, going_away: str = "") -> Node:
    return Node(name, name, capacity_class, "m.xlarge", "a", going_away, False, (), {}, Requests(), 110)


def rolling_out() -> Look:
    labels = {"spotmix.io/enabled": "true"}
    annotations = {"spotmix.io/spot-percentage": "50"}
    above = OwnerRef("web", "apps/v1", "Deployment", "web")
    revision = "deployment.kubernetes.io/revision"
    owners = [
        Owner("web", "", "apps/v1", "Deployment", "demo", "web", None, labels, annotations, 4),
        Owner("old", "", "apps/v1", "ReplicaSet", "demo", "old", above, {}, {revision: "1"}, 1),
        Owner("new", "", "apps/v1", "ReplicaSet", "demo", "new", above, {}, {revision: "2"}, 4),
    ]
    facts = [
        PodFact("a", "old", "d1", True, True, ""),
        PodFact("b", "new", "s1", True, True, ""),
        PodFact("c", "new", "d1", True, True, ""),
        PodFact("d", "new", "s2", True, True, ""),
        PodFact(
            "e", "new", "", False, False, "0/3 nodes are available: 3 spotmix: waits for a node of its capacity class."
        ),
    ]
    nodes = [node("s1", SPOT), node("s2", SPOT, "karpenter.sh/disrupted"), node("d1", ON_DEMAND)]
    return Look(1.0, facts, {each.name: each for each in nodes}, owners)


def render(width: int, height: int = 40, log: int = 3) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    scene = Scene("Title", "2/5 rollout", "look here", [(float(n), f"event {n}") for n in range(log)])
    with console.capture() as captured:
        console.print(picture(scene, rolling_out(), console))
    return captured.get()


@pytest.mark.parametrize("width", [80, 140])
def test_the_picture_tells_policy_split_revisions_reasons_nodes_and_log(width: int) -> None:
    text = render(width)
    for part in ("Title", "2/5 rollout", "look here", "web", "50 % spot", "2 + 2", "old revision", "m:2", "event 2"):
        assert part in text
    assert "●●◌○" in text
    assert "1: waits for a node" in text


def test_a_wide_picture_names_the_kind_and_a_narrow_one_leaves_it_out() -> None:
    assert "Deployment" in render(140)
    assert "Deployment" not in render(80)


def test_the_log_is_cut_to_the_height_and_keeps_the_newest() -> None:
    lines = render(140, height=20, log=50).splitlines()
    assert len(lines) <= 20
    assert "event 49" in lines[-1]
    assert "event 0" not in "\n".join(lines)


def test_without_a_terminal_the_show_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show = choose_show("Title")
    assert isinstance(show, PlainShow)
    show.act("1/5 burst", "look")
    with show.curtain():
        show.log("something happened")
    assert [line.partition("s  ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "== 1/5 burst: look",
        "something happened",
    ]


def test_the_live_show_leaves_what_was_said_and_the_last_picture() -> None:
    out = io.StringIO()
    console = Console(file=out, width=140, height=40, force_terminal=True, color_system=None)
    show = LiveShow(console, "Title")
    show.step("starting")
    with show.curtain():
        show.act("1/5 burst", "look")
        show.see(rolling_out())
        show.log("something happened")
        show.say(["x" * 300])
    text = out.getvalue()
    assert "starting" in text
    assert "x" * 300 in text
    assert "something happened" in text.rpartition("1/5 burst")[2]


def test_the_lines_of_a_stay_name_what_is_needed() -> None:
    text = "\n".join(stay_lines("/run/admin.kubeconfig", "http://127.0.0.1:1", "127.0.0.1:2", "/run/spotmix.log"))
    assert "kubectl --kubeconfig /run/admin.kubeconfig get pods -A -o wide" in text
    assert "http://127.0.0.1:1/console" in text
    assert "spotmix watch -A --server 127.0.0.1:2 --kubeconfig /run/admin.kubeconfig" in text
    assert "/run/spotmix.log" in text
