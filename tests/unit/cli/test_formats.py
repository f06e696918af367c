"""`-o` and `--no-headers`: formats that kubectl has beside tables, JSON and YAML."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result
from support.doubles_api import FakeService
from unit.cli.test_service import world

from extender.cli import cli
from extender.cli.formats import OutputType
from extender.core.answers.overview import overview
from extender.core.answers.pod import explain_pod
from extender.wire.placement_v1 import to_message
from spotmix.placement.v1 import placement_pb2 as pb


@pytest.fixture
def address() -> Iterator[str]:
    made = world()
    pod = explain_pod(made.state, made.state.pods["web-0"], made.now)
    service = FakeService(
        {
            "ListWorkloads": [
                pb.ListWorkloadsResponse(overview=to_message(overview(made.state, made.now))),
            ],
            "ExplainPod": [pb.ExplainPodResponse(pod=to_message(pod))],
        }
    )
    with service.serving() as where:
        yield where


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_names_are_what_other_commands_take(address: str) -> None:
    status = run("status", "-A", "--server", address, "-o", "name")
    assert (status.exit_code, status.stdout) == (0, "deployment/api\ndeployment/web\n")
    pod = run("explain", "pod/web-0", "-n", "shop", "--server", address, "-o", "name")
    assert pod.stdout == "pod/web-0\n"


def test_a_jsonpath_reads_what_json_has(address: str) -> None:
    template = '{range .workloads[*]}{.name} {.wanted.spot}{"\\n"}{end}'
    ran = run("status", "-A", "--server", address, "-o", f"jsonpath={template}")
    assert (ran.exit_code, ran.stdout) == (0, "api 2\nweb 2\n")
    ran = run("explain", "pod/web-0", "-n", "shop", "--server", address, "-o", "jsonpath={.pod.kind}/{.pod.name}")
    assert ran.stdout == "Pod/web-0"


def test_columns_are_chosen_and_headers_left_out(address: str) -> None:
    columns = "custom-columns=WHO:.name,SPOT:{.wanted.spot},NOT THERE:.x,ALL:.wanted['spot','on-demand']"
    refused = run("status", "-A", "--server", address, "-o", columns)
    assert refused.exit_code == 2
    assert "custom-columns: " in refused.stderr
    columns = "custom-columns=WHO:.name,SPOT:{.wanted.spot},NOT THERE:.x,ALL:.wanted.*"
    lines = run("status", "-A", "--server", address, "-o", columns).stdout.splitlines()
    assert [line.split("   ")[0] for line in lines] == ["WHO", "api", "web"]
    assert lines[0].split() == ["WHO", "SPOT", "NOT", "THERE", "ALL"]
    assert lines[1].split() == ["api", "2", "<none>", "2,2"]
    bare = run("status", "-A", "--server", address, "-o", columns, "--no-headers").stdout
    assert [line.split()[0] for line in bare.splitlines()] == ["api", "web"]


def test_without_headers_there_are_rows_alone(address: str) -> None:
    ran = run("status", "-A", "--server", address, "--no-headers")
    assert [line.split()[1] for line in ran.stdout.splitlines()] == ["Deployment/api", "Deployment/web"]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("xml", "is no format; write one of table, wide, json, yaml, name, jsonpath=TEMPLATE"),
        ("jsonpath={.a", "jsonpath: '{.a' is no end of an action"),
        ("custom-columns=A", "'A' is no column; write TITLE:PATH, such as NAME:.name"),
    ],
)
def test_what_is_no_format_is_a_usage_error(output: str, why: str) -> None:
    ran = run("status", "-A", "-o", output)
    assert ran.exit_code == 2
    assert why in " ".join(ran.stderr.split())


def test_shells_are_offered_the_formats() -> None:
    context = click.Context(cli)
    option = click.Option(["-o"])
    assert [each.value for each in OutputType().shell_complete(context, option, "j")] == ["json", "jsonpath="]
