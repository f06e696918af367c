"""`spotmix status -w`: all workloads first, then those alone that are new or have changed."""

import grpc
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from support.doubles_api import FakeService, RefusalError
from unit.cli.test_service import world

from extender.cli import cli, status_follow
from extender.core.answers.overview import Overview, overview
from extender.core.model.errors import ServiceError
from extender.wire.placement_v1 import to_message
from spotmix.placement.v1 import placement_pb2 as pb


def answer(shown: Overview) -> pb.ListWorkloadsResponse:
    return pb.ListWorkloadsResponse(overview=to_message(shown))


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    """Two workloads; nothing changes, then one is pending and a third comes, then the service goes."""
    monkeypatch.setattr(status_follow, "EVERY", 0)
    made = world()
    first = overview(made.state, made.now)
    api, web = first.workloads
    later = replace(first, workloads=(api, replace(web, pending=7), replace(web, name="new")))
    away = RefusalError(grpc.StatusCode.UNAVAILABLE, "gone")
    return FakeService({"ListWorkloads": [answer(first), answer(first), answer(later), away]})


def run(service: FakeService, *options: str) -> Result:
    with service.serving() as address:
        ran = CliRunner().invoke(cli, ("status", "-A", "-w", "--server", address, *options))
    assert isinstance(ran.exception, ServiceError)
    assert len(service.seen) == 4
    return ran


def test_rows_are_shown_again_as_they_change_in_the_same_columns(changing: FakeService) -> None:
    lines = run(changing).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        "WORKLOAD",
        "Deployment/api",
        "Deployment/web",
        "Deployment/web",
        "Deployment/new",
    ]
    assert lines[3].split()[5] == "7"
    assert len({line.index(" 4 ") for line in lines[1:]}) == 1


def test_names_and_columns_go_on_too(changing: FakeService) -> None:
    ran = run(changing, "-o", "custom-columns=NAME:.name,PENDING:.pending")
    assert [line.split() for line in ran.stdout.splitlines()] == [
        ["NAME", "PENDING"],
        ["api", "0"],
        ["web", "0"],
        ["web", "7"],
        ["new", "0"],
    ]


@pytest.mark.parametrize("options", [("--exit-code",), ("--local",), ("-o", "json")])
def test_what_does_not_go_on(options: tuple[str, ...]) -> None:
    ran = CliRunner().invoke(cli, ("status", "-w", *options))
    assert ran.exit_code == 2
    assert "-w goes neither with" in ran.stderr
