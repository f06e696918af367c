"""`spotmix what-if`: its flags, and what it prints for people."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grpc
import msgspec
import pytest
from click.testing import CliRunner
from support.doubles import ON_DEMAND, SPOT, World, make_node, make_pod, make_policy, shares
from support.doubles_api import FakeService, RefusalError

from extender.cli import cli
from extender.cli.output import Part, print_text
from extender.cli.what_if_text import SHOWN, UNKNOWN, text_of
from extender.core.answers.plan import WorkloadName
from extender.core.model.errors import SpotmixError
from extender.core.model.objects import Requests
from extender.core.model.policies import PlacementPolicy
from extender.core.whatif.outlook import Change, LostPool, WhatIf
from extender.core.whatif.what_if import what_if
from extender.wire.placement_v1 import from_message, to_message
from extender.wire.placementpolicy_v1 import read_policy
from spotmix.placement.v1 import placement_pb2 as pb

WEB = WorkloadName("shop", "deploy", "web")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give --replicas, --set, --policy or --lose-pool"),
        (("deploy/web",), "give --replicas, --set, --policy or --lose-pool"),
        (("--replicas", "3"), "name it, as in deploy/NAME"),
        (("--set", "spot=3"), "name it, as in deploy/NAME"),
        (("deploy/web", "--replicas", "-1"), "-1 is not in the range"),
        (("deploy/web", "--replicas", "many"), "'many' is not a valid integer"),
        (("deploy/web", "web", "--replicas", "1"), "is no TYPE/NAME"),
        (("deploy/", "--replicas", "1"), "is no TYPE/NAME"),
        (("deploy", "--replicas", "1"), "is no TYPE/NAME"),
        (("deploy/web", "--set", "spot"), "write KEY=VALUE, such as spot=80%"),
        (("deploy/web", "--set", "spot=1", "--set", "spot=2"), "gives spot twice"),
        (("--lose-pool", "spot/m5/a/b"), "write CLASS/INSTANCE_TYPE/ZONE"),
        (("--lose-pool", "spot", "--price", "spot=cheap"), "write a number, such as spot=0.20"),
    ],
)
def test_wrong_flags(arguments: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(cli, ("what-if", *arguments))
    assert result.exit_code == 2
    assert says in result.output


def test_a_service_is_asked(world: World) -> None:
    change = Change(WEB, 16, {"spot": "80%"}, (LostPool("", "m.large"),), {SPOT: 0.5, ON_DEMAND: 1.0})
    answer = what_if(world.state, change, world.now)
    told = pb.SimulateResponse(what_if=to_message(answer), total_size=3, obstacle=pb.REASON_NOT_LEADER)
    service = FakeService({"Simulate": [told]})
    command = ("what-if", "deploy/web", "-n", "shop", "--replicas", "16", "--set", "spot=80%")
    pools = ("--lose-pool", "*/m.large", "--price", "spot=0.5", "--price", "on-demand=1")
    with service.serving() as address:
        ran = CliRunner().invoke(cli, (*command, *pools, "--server", address, "-o", "json", "--exit-code"))
    assert ran.exit_code == 3, ran.output
    assert msgspec.json.decode(ran.stdout, type=WhatIf) == answer
    assert ran.stderr.splitlines() == [
        "spotmix: the replica that answered makes no decisions: spotmix: this replica is not the leader",
        "spotmix: 2 workloads more are touched; the sums are of all",
    ]
    ((method, request, _),) = service.seen
    assert (method, from_message(request.change, Change)) == ("Simulate", change)


POLICY = """\
# Source: chart/templates/policy.yaml
apiVersion: spotmix.io/v1alpha1
kind: PlacementPolicy
metadata: {name: all}
spec: {classes: [{name: spot, weight: 100}]}
"""


def test_a_service_is_given_policy_objects(world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    manifest = (
        '{"apiVersion":"spotmix.io/v1alpha1","kind":"PlacementPolicy","metadata":{"name":"all","namespace":"shop"},'
        '"spec":{"classes":[{"name":"spot","weight":100}]}}'
    )
    answer = what_if(world.state, Change(), world.now, policies=[read_policy(manifest.encode())])
    told = pb.SimulateResponse(what_if=to_message(answer), total_size=len(answer.workloads))
    older = pb.SimulateResponse(what_if=to_message(what_if(world.state, Change(WEB, 3), world.now)), total_size=1)
    service = FakeService({"Simulate": [told, older]})
    command = ("what-if", "--policy", str(file), "-n", "shop")
    with service.serving() as address:
        ran = CliRunner().invoke(cli, (*command, "--server", address, "-o", "json"))
        assert ran.exit_code == 0, ran.output
        assert msgspec.json.decode(ran.stdout, type=WhatIf) == answer
        assert ran.stderr == "spotmix: documents that are no policy objects are passed over: 1\n"
        refused = CliRunner().invoke(cli, (*command, "--server", address))
    assert "tries no policy objects: use --local" in str(refused.exception)
    assert [list(request.policy_objects) for _, request, _ in service.seen] == [[manifest], [manifest]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POLICY.replace("100", "-1"), ":5: PlacementPolicy shop/all: spec.classes[0].weight=-1 is refused"),
        (POLICY + "---\n" + POLICY, "PlacementPolicy shop/all is there twice"),
        ("apiVersion: v1\nkind: Service\n", "has no PlacementPolicy and no ClusterPlacementPolicy"),
        ("a: [", "is not YAML"),
    ],
)
def test_policy_objects_that_could_not_be_applied(text: str, says: str) -> None:
    result = CliRunner().invoke(cli, ("what-if", "--policy", "-", "-n", "shop"), input=text)
    assert isinstance(result.exception, SpotmixError)
    assert str(result.exception).startswith("standard input")
    assert says in str(result.exception)


@pytest.mark.parametrize(
    ("code", "text", "ends"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "colour is no key of a policy", 2),
        (grpc.StatusCode.NOT_FOUND, "no node is of pool gpu/*/*", 1),
    ],
)
def test_refusals_of_a_service_are_errors(code: grpc.StatusCode, text: str, ends: int) -> None:
    service = FakeService({"Simulate": [RefusalError(code, text)]})
    with service.serving() as address:
        ran = subprocess.run(
            [sys.executable, "-m", "extender", "what-if", "--lose-pool", "gpu", "--server", address],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (ends, "", f"spotmix: {text}\n")


class WhatIfScreen:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def show(self, parts: Iterable[Part]) -> list[str]:
        print_text(parts)
        return [line.rstrip() for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> WhatIfScreen:
    return WhatIfScreen(capsys)


@pytest.fixture
def world() -> World:
    """Ten web pods: seven on spot with room for eight, three on demand with room for six."""
    world = World()
    world.up(
        make_node("s", SPOT, allocatable=Requests(cpu=800)),
        make_node("o", ON_DEMAND, allocatable=Requests(cpu=600)),
    )
    web = world.deployment("web", 10, spot_percentage=70, min_on_demand=2)
    world.up(*(make_pod(f"w{n}", web, "s" if n < 7 else "o", created=float(n)) for n in range(10)))
    return world


def ask(
    world: World, screen: WhatIfScreen, change: Change, *policies: PlacementPolicy, wide: bool = False
) -> list[str]:
    return screen.show(text_of(what_if(world.state, change, world.now, policies=policies), wide=wide))


def test_policy_objects(world: World, screen: WhatIfScreen) -> None:
    world.up(make_policy("first", priority=1, **shares(50)))
    world.deployment("api", 4, labels={})
    unbuilt = make_policy("odd", of_cluster=True, malformed="does not decode")
    policies = (make_policy("first", priority=1, **shares(100)), make_policy("second", **shares(10)), unbuilt)
    lines = ask(world, screen, Change(), *policies)
    first, both = "PlacementPolicy shop/first", ("web", "api")
    assert lines[:6] == [
        "PlacementPolicy shop/first in the place of the one there: workloads that it would speak for: 2.",
        "PlacementPolicy shop/second: workloads that it would speak for: 0.",
        f"It matches 2 more that go by another: {', '.join(f'Deployment shop/{each} by {first}' for each in both)}.",
        "ClusterPlacementPolicy odd would not act at all:",
        "problem: spec does not decode; write it as `kubectl explain placementpolicy.spec` says",
        "",
    ]
    assert lines[6].split()[-1] == "POLICIES"
    assert [line.split()[-1] for line in lines[7:9]] == ["pp/first", "pp/first"]


def test_one_workload(world: World, screen: WhatIfScreen) -> None:
    change = Change(WEB, 16, {"min-on-demand": "5"}, prices={SPOT: 0.3, ON_DEMAND: 1.0})
    assert ask(world, screen, change) == [
        "NAMESPACE   WORKLOAD         REPLICAS   SPOT          ON-DEMAND    NO NODE   FLOOR   MOVES",
        "shop        Deployment/web   10 -> 16   7/7 -> 8/11   3/3 -> 6/5   0 -> 2    kept    0/1 possible",
        "",
        "Pods without a node (2 for spot):",
        "  2   no-room   no node of the class has room for it",
        "New pods that fall back to another class, because their own has no room: 1.",
        "Moves of the drift loop: 1 needed, of these possible 0.",
        "  1   no-room   no node of the class has room for it",
        "Nodes' worth of requests in the end: 0.5 -> 1.0 on-demand, 0.9 -> 1.0 spot.",
        "Cost at the prices given: 0.76 -> 1.30 (+71 %).",
        UNKNOWN,
    ]


def test_another_policy(world: World, screen: WhatIfScreen) -> None:
    shown = ask(world, screen, Change(WEB, policy={"spot": "30", "max-moves-per-hour": "2"}))
    assert [cell.strip() for cell in shown[1].split("   ") if cell][2:] == [
        "10",
        "7/7 -> 7/3",
        "3/3 -> 3/7",
        "0",
        "kept",
        "3/4 possible",
    ]
    assert (
        "Moves of the drift loop: 4 needed, of these possible 3, in 1.5 h at least; then 4 spot, 6 on-demand." in shown
    )


def test_a_wrong_policy(world: World, screen: WhatIfScreen) -> None:
    shown = ask(world, screen, Change(WEB, policy={"spot": "most"}))
    assert shown[0].startswith("problem: Deployment shop/web: spotmix.io/spot-percentage='most' is not a percentage")
    assert shown[1] == "The policy of Deployment shop/web is invalid: the last valid one would stay in force."


def test_a_lost_pool(world: World, screen: WhatIfScreen) -> None:
    world.up(make_pod("bare", None, "s"), make_pod("plain", world.deployment("plain", 1, labels={}), "s"))
    shown = ask(world, screen, Change(lost_pools=(LostPool(SPOT),)), wide=True)
    assert [line.split() for line in shown[:2]] == [
        ["LOST", "INSTANCE", "TYPE", "ZONE", "NODES", "PODS", "MANAGED"],
        ["spot", "m.large", "a", "1", "9", "7"],
    ]
    assert shown[2:4] == [
        "Nodes that take pods: on-demand 1, spot 1 -> 0.",
        "Pods that nobody manages: 1 come to another node, 1 are not made anew.",
    ]
    assert shown[5].split()[-5:] == ["LOST", "REMOVED", "NEW", "FALL", "BACK"]
    assert shown[6].split()[-4:] == ["7", "0", "7", "2"]
    assert "  5   no-node   there is no node of the class it should be on" in shown
    world.up(make_node("empty", SPOT, zone="z"))
    shown = ask(world, screen, Change(lost_pools=(LostPool(zone="z"),)))
    assert "No managed workload would be touched." in shown


def test_the_first_of_many(world: World, screen: WhatIfScreen) -> None:
    for number in range(SHOWN + 4):
        owner = world.deployment(f"small-{number:02d}", 1, spot_percentage=100)
        world.up(make_pod(f"s{number}", owner, "s", requests=Requests(cpu=1)))
    change = Change(WEB, 9, lost_pools=(LostPool(SPOT),))
    shown = ask(world, screen, change)
    assert ".. and 5 workloads more; -o wide shows them all" in shown
    assert sum("Deployment/" in line for line in shown) == SHOWN
    assert "Deployment/web" in shown[5]
    assert sum("Deployment/" in line for line in ask(world, screen, change, wide=True)) == SHOWN + 5
    assert any(line.startswith(f"{SHOWN + 5} workloads: ") for line in shown)


def test_a_broken_floor_is_said(world: World, screen: WhatIfScreen) -> None:
    shown = ask(world, screen, Change(lost_pools=(LostPool(ON_DEMAND),)))
    assert "Pods missing to floors: 2." in shown
    assert any("   0/2   " in line for line in shown)
