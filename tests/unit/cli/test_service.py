"""Commands that ask a running service: by its address, through a tunnel, with and without TLS and tokens."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from click.testing import CliRunner, Result
from support.certificates import Authority
from support.doubles import World, make_pod
from support.doubles_api import FakeService, RefusalError
from unit.kube.fake_api import write_kubeconfig

from extender.cli import cli
from extender.cli.client import TlsFiles, direct, tunnelled
from extender.cli.questions import workloads
from extender.cli.wanted import Wanted
from extender.core.answers.decisions import Entry
from extender.core.answers.overview import Overview, overview
from extender.core.answers.plan import DriftReport
from extender.core.answers.pod import explain_pod
from extender.core.answers.workload import explain_owner
from extender.core.model.errors import ConfigError, NotFoundError, ServiceError
from extender.core.model.reasons import Reason
from extender.sandbox.ports import free_port
from extender.wire.placement_v1 import NUMBERS, to_message
from spotmix.placement.v1 import placement_pb2 as pb

NEXT = "2"
LOOPBACK = ("127.0.0.1",)
LEFT: Any = NUMBERS[Reason.NOT_LEADER]


def entry(number: int = 1, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "number": number,
        "at": 1_767_571_200.0 + number,
        "verb": "filter",
        "namespace": "shop",
        "pod": f"web-{number}",
        "pod_uid": f"uid-{number}",
        "kind": "Deployment",
        "workload": "web",
        "workload_uid": "uid-web",
        "wanted": "spot",
        "given": "spot",
        "reason": Reason.SEAT,
        "offered": 15,
        "passed": 9,
    }
    return Entry(**{**given, **fields})


def world() -> World:
    made = World()
    made.nodes(spot=2, on_demand=1)
    for name in ("api", "web"):
        owner = made.deployment(name, 4, spot_percentage=50, min_on_demand=1)
        made.up(make_pod(f"{name}-0", owner, "spot-0"))
    return made


@pytest.fixture
def seen() -> Overview:
    made = world()
    return overview(made.state, made.now)


@pytest.fixture
def service(seen: Overview) -> FakeService:
    made = world()
    pages = [
        pb.ListWorkloadsResponse(
            overview=to_message(Overview(seen.at, seen.totals, seen.workloads[:1], seen.pools)), next_page_token=NEXT
        ),
        pb.ListWorkloadsResponse(
            overview=to_message(Overview(seen.at, seen.totals, seen.workloads[1:], seen.pools)), obstacle=LEFT
        ),
    ]
    pod = explain_pod(made.state, made.state.pods["web-0"], made.now)
    owner = next(each for each in made.state.workloads.owners.values() if each.name == "web")
    answers: dict[str, Any] = {
        "ListWorkloads": pages,
        "ExplainPod": [pb.ExplainPodResponse(pod=to_message(pod), decisions=[to_message(entry())])],
        "GetWorkload": [
            pb.GetWorkloadResponse(
                workload=to_message(explain_owner(made.state, owner, made.now)),
                decisions=[to_message(entry(2, given="on-demand", reason=Reason.FALLBACK)), to_message(entry())],
                drift=to_message(DriftReport(made.now, None, (), (), (), ())),
            )
        ],
        "PlanDrift": [
            pb.PlanDriftResponse(report=to_message(DriftReport(made.now, None, (), (), (), ())), mode="dry run")
        ],
    }
    return FakeService(answers)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_status_is_the_services_in_pages(service: FakeService, seen: Overview) -> None:
    with service.serving() as address:
        ran = run("status", "-A", "--server", address, "-o", "json")
    assert ran.exit_code == 0, ran.output
    assert [row["name"] for row in json.loads(ran.stdout)["workloads"]] == [row.name for row in seen.workloads]
    assert (
        ran.stderr == "spotmix: the replica that answered makes no decisions: spotmix: this replica is not the leader\n"
    )
    assert [(call.namespace, call.page_token) for _, call, _ in service.seen] == [("", ""), ("", NEXT)]


def test_the_address_may_come_from_the_environment(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    with service.serving() as address:
        monkeypatch.setenv("SPOTMIX_SERVER", address)
        ran = run("status", "-n", "shop")
    assert ran.exit_code == 0, ran.output
    assert "Deployment/web" in ran.stdout
    assert service.seen[0][1].namespace == "shop"


@pytest.mark.parametrize("command", [("status",), ("drift", "plan")])
def test_a_selector_is_the_services_to_go_by(command: tuple[str, ...], service: FakeService) -> None:
    """A service of a version that knows none would show all workloads as if they were selected."""
    with service.serving() as address:
        ran = run(*command, "-A", "-l", "app=web, tier", "--server", address)
    assert isinstance(ran.exception, ServiceError)
    assert str(ran.exception) == "the service is of a version that knows no label selectors: use --local"
    assert service.seen[0][1].label_selector == "app=web, tier"
    for answers in service.answers.values():
        for answer in answers:
            if isinstance(answer, pb.ListWorkloadsResponse | pb.PlanDriftResponse):
                answer.selected = True
    with service.serving() as address:
        assert run(*command, "-A", "-l", "app=web", "--server", address).exit_code == 0


@pytest.mark.parametrize("command", [("status",), ("drift", "plan")])
def test_a_selector_that_is_none_is_refused_before_anybody_is_asked(command: tuple[str, ...]) -> None:
    ran = run(*command, "-A", "-l", "app in web", "--server", "127.0.0.1:1")
    assert ran.exit_code == 2
    assert "after 'app in' 'web' stands; ( and the values is expected" in " ".join(ran.output.split())


@pytest.mark.parametrize("command", [("status",), ("drift", "plan")])
def test_without_a_namespace_that_of_the_context_is_meant(
    command: tuple[str, ...], service: FakeService, tmp_path: Path
) -> None:
    kubeconfig = Path(write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1"))
    tree = yaml.safe_load(kubeconfig.read_text())
    tree["contexts"][0]["context"]["namespace"] = "shop"
    kubeconfig.write_text(yaml.safe_dump(tree))
    with service.serving() as address:
        where = ("--server", address, "--kubeconfig", str(kubeconfig))
        assert run(*command, *where).exit_code == 0
        first = service.seen[0][1].namespace
        assert run(*command, *where, "-A").exit_code == 0
        last = service.seen[-1][1].namespace
    assert (first, last) == ("shop", "")


def test_explain_tells_of_the_last_decisions(service: FakeService) -> None:
    with service.serving() as address:
        options = ("-n", "shop", "--server", address)
        pod = run("explain", "pod/web-0", *options, "-o", "json")
        workload = run("explain", "deploy", "web", *options)
    told = json.loads(pod.stdout)
    assert (told["pod"]["name"], [each["number"] for each in told["decisions"]]) == ("web-0", [1])
    lines = workload.stdout.split("Last decisions\n")[1].splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["POD", "WANTED", "GIVEN", "REASON", "NODES"],
        ["web-2", "spot", "on-demand", "fallback", "9/15"],
        ["web-1", "spot", "spot", "seat", "9/15"],
    ]
    assert [(method, call.name) for method, call, _ in service.seen] == [
        ("ExplainPod", "web-0"),
        ("GetWorkload", "web"),
    ]
    assert service.seen[1][1].kind == "deploy"


def test_the_plan_says_what_the_loop_does(service: FakeService) -> None:
    with service.serving() as address:
        ran = run("drift", "plan", "-A", "--server", address)
    assert ran.exit_code == 0, ran.output
    assert "at its split" in ran.stdout
    assert ran.stderr.splitlines() == ["spotmix: the drift loop is in dry run: it reports, and moves nothing"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFoundError("no such pod")),
        (grpc.StatusCode.INVALID_ARGUMENT, ConfigError("no such pod")),
        (grpc.StatusCode.PERMISSION_DENIED, ServiceError("ADDRESS: PERMISSION_DENIED: no such pod")),
        (grpc.StatusCode.UNAVAILABLE, ServiceError("ADDRESS: no such pod")),
    ],
)
def test_refusals_are_errors_and_nothing_is_computed_here(code: grpc.StatusCode, error: Exception) -> None:
    service = FakeService({"ExplainPod": [RefusalError(code, "no such pod")]})
    with service.serving() as address:
        ran = run("explain", "pod/p", "-n", "shop", "--server", address)
        assert type(ran.exception) is type(error)
        assert str(ran.exception) == str(error).replace("ADDRESS", address)
    assert ran.output == ""


def test_nobody_at_the_address() -> None:
    ran = run("status", "-A", "--server", f"127.0.0.1:{free_port()}")
    assert isinstance(ran.exception, ServiceError)
    assert "onnection refused" in str(ran.exception)
    assert ran.output == ""


def test_who_computes_is_said_once(tmp_path: Path) -> None:
    config = tmp_path / "spotmix.yaml"
    config.write_text("apiVersion: spotmix.io/v1alpha1\nkind: SpotmixConfiguration\n")
    ran = run("status", "-A", "--server", "h:1", "--config", str(config))
    assert str(ran.exception) == "--config says how to compute, and --server who does; leave one of them out"
    ran = run("status", "-A", "--server", "h:1", "--policy-prefixes", "[a.io]")
    assert isinstance(ran.exception, ConfigError)
    assert str(ran.exception).startswith("--policy-prefixes says how to compute")


def test_without_tls_no_token_leaves(service: FakeService, tmp_path: Path) -> None:
    asking = FakeService(service.answers, "secret")
    token = tmp_path / "token"
    token.write_text("secret")
    with asking.serving() as address:
        ran = run("status", "-A", "--server", address, "--server-token-file", str(token))
    assert isinstance(ran.exception, ServiceError)
    assert "asks for a token, which is sent with TLS alone; give --server-ca" in str(ran.exception)
    assert [shown for *_, shown in asking.seen] == [""]


def test_with_tls_the_token_is_shown_when_asked_for(service: FakeService, tmp_path: Path) -> None:
    authority = Authority("authority")
    pair = authority.issue(tmp_path, "service", LOOPBACK)
    ca = authority.write(tmp_path / "ca.pem")
    token = tmp_path / "token"
    token.write_text("secret\n")
    asking = FakeService(service.answers, "secret")
    with asking.serving(tls=pair) as address:
        options = ("--server", f"https://{address}", "--server-ca", str(ca))
        ran = run("status", "-A", *options, "--server-token-file", str(token), "-o", "json")
        assert ran.exit_code == 0, ran.output
        assert [shown for *_, shown in asking.seen] == ["", "Bearer secret", "Bearer secret"]
        asking.seen.clear()
        mine = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", {"token": "secret"})
        assert run("explain", "pod/p", "-n", "shop", *options, "--kubeconfig", mine).exit_code == 0
        assert [shown for *_, shown in asking.seen] == ["", "Bearer secret"]
        none = write_kubeconfig(tmp_path / "none", "https://127.0.0.1:1")
        ran = run("explain", "pod/p", "-n", "shop", *options, "--kubeconfig", none)
        assert "the kubeconfig has none; give one with --server-token-file" in str(ran.exception)


def test_an_open_service_never_sees_the_token(service: FakeService, tmp_path: Path) -> None:
    authority = Authority("authority")
    pair = authority.issue(tmp_path, "service", LOOPBACK)
    ca = authority.write(tmp_path / "ca.pem")
    mine = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", {"token": "secret"})
    with service.serving(tls=pair) as address:
        ran = run("explain", "pod/p", "-n", "shop", "--server", address, "--server-ca", str(ca), "--kubeconfig", mine)
    assert ran.exit_code == 0, ran.output
    assert [shown for *_, shown in service.seen] == [""]


def test_a_server_of_another_authority_is_not_spoken_to(service: FakeService, tmp_path: Path) -> None:
    pair = Authority("authority").issue(tmp_path, "service", LOOPBACK)
    other = Authority("other").write(tmp_path / "other.pem")
    with service.serving(tls=pair) as address:
        ran = run("status", "-A", "--server", address, "--server-ca", str(other))
    assert isinstance(ran.exception, ServiceError)
    assert service.seen == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--server-ca", "none.pem"), "--server-ca none.pem: No such file or directory; give a PEM file"),
        (("--server-cert", __file__), "--server-cert and --server-key belong together; give both or neither"),
    ],
)
def test_files_that_will_not_do(options: tuple[str, str], text: str) -> None:
    ran = run("status", "-A", "--server", "127.0.0.1:1", *options)
    assert isinstance(ran.exception, ConfigError)
    assert str(ran.exception) == text


async def nobody() -> str:
    raise AssertionError("nothing asks for a token here")


@pytest.mark.parametrize("tls", [False, True])
async def test_through_a_tunnel_the_certificate_that_is_shown_is_trusted(
    tls: bool, service: FakeService, seen: Overview, tmp_path: Path
) -> None:
    authority = Authority("authority")
    pair = authority.issue(tmp_path, "service", LOOPBACK)
    client = authority.issue(tmp_path, "client")
    path = str(tmp_path / "s")
    files = TlsFiles(cert=str(client.cert), key=str(client.key)) if tls else TlsFiles()
    serving: dict[str, Any] = {"tls": pair, "client_ca": authority.write(tmp_path / "ca.pem")} if tls else {}
    with service.serving(f"unix:{path}", **serving):
        async with tunnelled(path, "pod a/b", files, nobody, str) as asked:
            told = await workloads(asked, Wanted())
    assert told.overview.workloads == seen.workloads


async def test_a_tunnel_to_nowhere_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"^pod a/b: forbidden$"):
        async with tunnelled(str(tmp_path / "s"), "pod a/b", TlsFiles(), nobody, lambda: "forbidden"):
            pass


async def test_a_tunnel_in_which_nobody_speaks_is_given_up(tmp_path: Path) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1024):
                pass
            writer.close()
            await writer.wait_closed()
        left.set()

    left = asyncio.Event()
    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(mute, path):
        with pytest.raises(ServiceError, match=r"^pod a/b: no answer within 0.05 s$"):
            async with tunnelled(path, "pod a/b", TlsFiles(), nobody, str, patience=0.05):
                pass
        await left.wait()


async def test_a_stream_that_ends_is_a_lost_service() -> None:
    service = FakeService({"WatchDecisions": [[pb.WatchDecisionsResponse(lost=3)]]})
    with service.serving() as address:
        async with direct(address, TlsFiles(), nobody) as client:
            stream = client.stream("WatchDecisions", pb.WatchDecisionsRequest())
            assert (await anext(stream)).lost == 3
            with pytest.raises(ServiceError, match=f"^{address} has ended the call$"):
                await anext(stream)
