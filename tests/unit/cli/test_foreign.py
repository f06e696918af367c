"""Foreign text on a terminal: whatever names, messages and errors hold, commands show it and obey none of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import grpc
import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result
from rich.table import Table
from rich.text import Text
from support.doubles_api import METHODS, FakeService, RefusalError
from unit.kube.fake_api import write_kubeconfig

from extender.cli import cli, main
from extender.cli.output import Screen, bar, note, print_data, print_file
from extender.core.answers.decisions import Entry
from extender.core.answers.overview import Overview
from extender.core.answers.plan import DriftReport
from extender.core.answers.pod import PodExplanation
from extender.core.answers.workload import WorkloadExplanation
from extender.core.model.foreign import LONGEST, plain, shown, shown_lines
from extender.core.whatif.outlook import WhatIf
from extender.simulate.report import Report
from extender.wire.placement_v1 import to_message
from spotmix.placement.v1 import placement_pb2 as pb

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\x85\u202e\u2066\u200b\ufeff\u2028\u0301\u3164\U000e0041\x00\x7f\t\r\n[bold]x"
"""Escapes of both kinds, a title, bidi, zero width, lines, a combining mark, a blank letter, tags and rich's markup."""
SHOWN = shown(EVIL)


def filled(kind: Any) -> Any:  # noqa: C901 - a case for each kind of type
    """A value of a type in which every text is evil and nothing is empty."""
    match msgspec.inspect.type_info(kind) if not isinstance(kind, msgspec.inspect.Type) else kind:
        case msgspec.inspect.StrType():
            return EVIL
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: filled(field.type) for field in fields})
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            return (filled(item),)
        case msgspec.inspect.TupleType(item_types=items):
            return tuple(filled(item) for item in items)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return {filled(key): filled(value)}
        case msgspec.inspect.UnionType(types=types):
            return filled(next(each for each in types if not isinstance(each, msgspec.inspect.NoneType)))
        case msgspec.inspect.EnumType(cls=cls):
            return next(iter(cls))
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.IntType():
            return 3
        case msgspec.inspect.FloatType():
            return 3.5
        case other:
            raise AssertionError(f"{other} is not made here yet")


def evil_service() -> FakeService:
    entry = to_message(filled(Entry))
    return FakeService(
        {
            "ListWorkloads": [pb.ListWorkloadsResponse(overview=to_message(filled(Overview)))],
            "ExplainPod": [pb.ExplainPodResponse(pod=to_message(filled(PodExplanation)), decisions=[entry])],
            "GetWorkload": [
                pb.GetWorkloadResponse(
                    workload=to_message(filled(WorkloadExplanation)),
                    decisions=[entry],
                    drift=to_message(filled(DriftReport)),
                )
            ],
            "PlanDrift": [pb.PlanDriftResponse(report=to_message(filled(DriftReport)))],
            "Simulate": [pb.SimulateResponse(what_if=to_message(filled(WhatIf)), total_size=1)],
            "WatchDecisions": [
                [pb.WatchDecisionsResponse(decisions=[entry])],
                RefusalError(grpc.StatusCode.INVALID_ARGUMENT, f"no more {EVIL}"),
            ],
        }
    )


ASKING = {
    "status": ("status", "-A"),
    "explain": ("explain", "pod/x", "-n", "shop"),
    "explain a workload": ("explain", "deploy/x", "-n", "shop"),
    "drift plan": ("drift", "plan"),
    "what-if": ("what-if", "deploy/x", "-n", "shop", "--replicas", "4"),
    "watch": ("watch", "-A"),
}
HERE = {
    "simulate",
    "lint",
    "scheduler-config check",
    "scheduler-config inject",
    "scheduler-config render",
    "config show",
}
OWN = {"serve", "sandbox up", "sandbox demo", "sandbox assets", "config reference", "release-gates"}
"""What they print has no names of others but of pods, which the API server keeps plain; of `serve` it is the log."""


def harmless(text: str) -> str:
    """The text, in which nothing but line ends is not plain."""
    assert not [each for each in text if not plain(each) and each != "\n"], repr(text)
    return text


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def main_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["spotmix", *arguments])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().err


def test_every_command_is_tried_here() -> None:
    def names(group: click.Group, prefix: str = "") -> Iterator[str]:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from names(command, f"{prefix}{name} ")
            else:
                yield f"{prefix}{name}"

    assert set(names(cli)) == {name for name in ASKING if "workload" not in name} | HERE | OWN


FORMS = {
    (command, form)
    for command in ASKING
    for form in (("table", "json") if command == "watch" else ("table", "wide", "json", "yaml"))
}


@pytest.mark.parametrize(("command", "form"), sorted(FORMS))
def test_answers_of_a_service(command: str, form: str) -> None:
    with evil_service().serving() as address:
        ran = run(*ASKING[command], "--server", address, "-o", form)
    text = harmless(ran.stdout)
    if form == "json":
        assert EVIL in texts(json.loads(text))
    elif form == "yaml":
        assert EVIL in texts(yaml.safe_load(text))
    else:
        assert r"\x1b[2J" in text
    harmless(ran.stderr)


def texts(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return {found for pair in tree.items() for each in pair for found in texts(each)}
    if isinstance(tree, list):
        return {found for each in tree for found in texts(each)}
    return {tree} if isinstance(tree, str) else set()


@pytest.mark.parametrize("command", list(ASKING))
def test_refusals_of_a_service(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = RefusalError(grpc.StatusCode.PERMISSION_DENIED, f"you {EVIL} may not")
    with FakeService({method: [refusal] for method in METHODS}).serving() as address:
        said = main_says(monkeypatch, capsys, *ASKING[command], "--server", address)
    assert harmless(said).startswith("spotmix: ")
    assert f"you {SHOWN} may not" in said
    assert len(said.splitlines()) == 1


def test_a_decision_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    from extender.cli.watch_text import Lines  # noqa: PLC0415 - as the command does

    for as_json in (True, False):
        Lines(as_json=as_json)(filled(Entry))
        assert len(harmless(capsys.readouterr().out).splitlines()) == 1


def test_a_simulation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from extender.cli.simulate_text import tables  # noqa: PLC0415 - likewise

    for part in tables(filled(Report), 20):
        Screen(fit=10_000).print(part)
    assert r"\x1b[2J" in harmless(capsys.readouterr().out)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(yaml.safe_dump({"apiVersion": EVIL}))
    ran = run("simulate", str(scenario))
    assert ran.exception is not None


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_manifests(form: str, tmp_path: Path) -> None:
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": EVIL, "namespace": EVIL, "annotations": {"spotmix.io/spot-percentage": EVIL}},
        "spec": {"replicas": 1},
    }
    policy = {
        "apiVersion": "spotmix.io/v1alpha1",
        "kind": "PlacementPolicy",
        "metadata": {"name": EVIL},
        "spec": {"mode": EVIL, EVIL: EVIL},
    }
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all([workload, policy]))
    ran = run("lint", str(file), "--output", form)
    assert ran.exit_code == 1
    text = harmless(ran.stdout)
    if form == "json":
        assert [each for each in texts(json.loads(text)) if EVIL in each or repr(EVIL)[1:-1] in each]
    else:
        assert "x1b[2J" in text
    harmless(ran.stderr)


def test_a_scheduler_configuration(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kubescheduler.config.k8s.io/v1",
                "kind": "KubeSchedulerConfiguration",
                "profiles": [{"schedulerName": EVIL}],
                "extenders": [{"urlPrefix": f"http://a/{EVIL}", "filterVerb": EVIL}],
                EVIL: 1,
            }
        )
    )
    harmless(run("scheduler-config", "check", str(file)).output)
    harmless(run("scheduler-config", "inject", str(file)).stderr)
    harmless(run("scheduler-config", "render", "--scheduler-name", EVIL).output)
    harmless(run("config", "show", "--policy-prefixes", json.dumps([EVIL])).output)


@pytest.mark.parametrize("command", [("status",), ("explain", "pod/x"), ("watch",), ("drift", "plan")])
def test_errors_of_a_kubeconfig(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    said = main_says(monkeypatch, capsys, *command, "--kubeconfig", file, "--context", EVIL)
    assert len(harmless(said).splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [(EVIL,), ("status", f"--{EVIL}"), ("explain", EVIL), ("what-if", "--price", EVIL)]
)
def test_arguments(arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 2
    harmless(ran.stderr)


def test_what_a_terminal_reads_of_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    print_file(f"a: {EVIL}\n")
    assert capsys.readouterr().out == f"a: {EVIL}\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_file("a:\tb\r\n\x1b[2J\n")
    assert capsys.readouterr().out == "a:      b\n\\x1b[2J\n"


def test_nothing_gets_by_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(Text(EVIL, style="red"))
    screen = Screen()
    screen.print(table)
    screen.print(Text.assemble(("a", "red"), EVIL))
    note(EVIL)
    with bar(EVIL):
        pass
    captured = capsys.readouterr()
    assert "[bold]x" in harmless(captured.out + captured.err)
    table.add_row(Table())
    with pytest.raises(TypeError):
        screen.print(table)


def test_values_that_programs_read_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    entry = filled(Entry)
    print_data(entry, "json")
    assert msgspec.json.decode(capsys.readouterr().out, type=Entry) == entry
    print_data(entry, "yaml")
    assert msgspec.convert(yaml.safe_load(capsys.readouterr().out), Entry) == entry


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web-7d4b9c6f5d", "web-7d4b9c6f5d"),
        ("größe – 70 % 漢字", "größe – 70 % 漢字"),  # noqa: RUF001 - a dash, as meant
        ("\x1b[2Ja", r"\x1b[2Ja"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\u200d\ufeff\xad", r"a\u200bb\u200d\ufeff\xad"),
        ("\U000e0001\ue000\udc80", r"\U000e0001\ue000\udc80"),
        ("a\u0301\u0489", r"a\u0301\u0489"),
        ("\u2028\u2029\xa0\u3000", r"\u2028\u2029\xa0\u3000"),
        ("", ""),
    ],
)
def test_what_is_not_plain_becomes_visible(text: str, told: str) -> None:
    assert shown(text) == told


def test_long_texts_are_cut_and_say_so() -> None:
    assert shown("a" * LONGEST) == "a" * LONGEST
    assert shown("a" * (LONGEST + 7)) == "a" * LONGEST + " .. (7 characters more)"
    assert shown("\x1b" * 15_000_000) == (r"\x1b" * LONGEST)[:LONGEST] + f" .. ({15_000_000 - LONGEST} characters more)"
    assert len(shown_lines("\n" * 100_000).splitlines()) == 501
