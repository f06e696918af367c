"""`spotmix simulate`: the same report for the same seed, the stock scheduler beside it, faults of a scenario."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from programs import ROOT
from rich.console import Console
from support.doubles import ENABLED, keys
from support.kubectl import Kubectl

from extender.cli import cli
from extender.cli.simulate_run import Request, exit_code, perform
from extender.cli.simulate_text import tables

EXAMPLE = ROOT / "docs" / "how-to" / "examples" / "simulation.yaml"
HEAD = "apiVersion: spotmix.io/v1alpha1\nkind: Simulation\n"
SMALL = (
    HEAD
    + """
duration: 2h
classes: {spot: {price: 0.1, reclaim: {perHour: 30%}}, on-demand: {price: 0.3}}
pools:
  - {name: spot, class: spot, size: 3}
  - {name: od, class: on-demand, size: 3}
workloads:
  - {name: web, replicas: 6, requests: {cpu: 500m}, labels: {spotmix.io/enabled: "true"},
     annotations: {spotmix.io/spot-percentage: "50", spotmix.io/min-on-demand: "2"}}
"""
)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in list(os.environ):
        if name.startswith("SPOTMIX_"):
            monkeypatch.delenv(name)
    return CliRunner()


def simulate(runner: CliRunner, *arguments: str, stdin: str | None = None) -> dict[str, Any]:
    result = runner.invoke(cli, ["simulate", *arguments, "-o", "json"], input=stdin)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_example_of_the_documentation_runs(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["simulate", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    for text in ("availability", "never broken by Spotmix", "all on demand", "Deployment shop/web", "spot-b"):
        assert text in result.stdout
    assert "note:" not in result.stdout
    assert result.stderr == ""


def test_the_same_seed_gives_the_same_bytes_in_any_process() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-m", "extender", "simulate", str(EXAMPLE), "-o", "json", "--seed", seed],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hashing},
        ).stdout
        for seed, hashing in (("5", "1"), ("5", "2"), ("5", "3"))
    }
    assert len(texts) == 1


def test_seeds_differ_and_flags_win(runner: CliRunner) -> None:
    file = "-"
    first = simulate(runner, file, "--seed", "1", stdin=SMALL)
    second = simulate(runner, file, "--seed", "2", stdin=SMALL)
    assert first["interruptions"] != second["interruptions"] or first["workloads"] != second["workloads"]
    dear = simulate(runner, file, "--duration", "1h", "--price", "on-demand=3", "--reclaim", "0%", stdin=SMALL)
    assert (dear["duration"], dear["interruptions"], dear["evictions"]) == (3600, 0, 0)
    assert dear["onDemandCost"] == pytest.approx(6 / 8 * 3)
    assert (dear["availability"], dear["misplaced"], dear["floorBrokenByUs"]) == (1.0, 0.0, 0.0)


def test_a_snapshot_of_a_cluster(runner: CliRunner, tmp_path: Path) -> None:
    kubectl = Kubectl()
    kubectl.nodes(2, "on-demand")
    kubectl.nodes(2, "spot", zone="b")
    kubectl.deployment("web", ["n0", "n0", "n1", "n1"], labels=ENABLED, annotations=keys(spot_percentage=50))
    file = tmp_path / "cluster.json"
    file.write_text(kubectl.text)
    found = simulate(
        runner,
        "-",
        "--snapshot",
        str(file),
        "--price",
        "spot=0.1",
        "--price",
        "on-demand=0.3",
        stdin=HEAD + "duration: 3h",
    )
    assert (found["drift"]["outcomes"], found["evictions"]) == ({"moved": 2}, 2)
    assert found["workloads"][0]["name"] == "web"
    assert 0 < found["saving"] < 0.5


def test_the_stock_behaviour(runner: CliRunner) -> None:
    found = simulate(runner, "-", "--stock", stdin=SMALL)
    assert (found["evictions"], found["drift"]["cycles"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["missing.yaml"], "missing.yaml: cannot be read: No such file or directory"),
        (["-", "--price", "spot:1"], "flag --price: 'spot:1' is no price; write CLASS=PRICE, such as spot=0.06"),
        (
            ["-", "--reclaim", "often"],
            "flag --reclaim is 'often'; write a percentage such as 5%, or a number such as 0.05",
        ),
        (["-", "--duration", "day"], "flag --duration: 'day' is not a duration"),
        (["-", "--duration", "0"], "flag --duration: 0 is nothing to simulate"),
        (["-", "--snapshot", str(EXAMPLE)], f"{EXAMPLE}: is no list of Kubernetes objects"),
    ],
)
def test_a_fault_is_a_line_and_code_2(arguments: list[str], wanted: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "extender", "simulate", *arguments],
        input=SMALL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"spotmix: {wanted}")
    assert len(result.stderr.splitlines()) == 1


def test_the_scenario_of_the_help_runs(runner: CliRunner) -> None:
    text = runner.invoke(cli, ["simulate", "--help"]).output
    begin, end = text.index("  apiVersion:"), text.index("\nOptions:")
    scenario = "\n".join(line.removeprefix("  ") for line in text[begin:end].splitlines())
    assert simulate(runner, "-", "--duration", "7h", stdin=scenario)["interruptions"] >= 6


def test_help_teaches(runner: CliRunner) -> None:
    text = runner.invoke(cli, ["simulate", "--help"]).output
    for part in (
        "kind: Simulation",
        "kubectl get -A -o json",
        "Exit codes:\n  0  simulated",
        "--snapshot",
        "--stock",
        "spot-percentage",
    ):
        assert part in text


def test_a_floor_that_we_broke_is_told_by_the_exit_code_and_in_red(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    report = perform(Request(str(file)), lambda _done: None)
    assert exit_code(report) == 0
    broken = replace(report, floor_broken_by_us=1.5)
    assert exit_code(broken) == 1
    console = Console(width=160, record=True, file=io.StringIO())
    for each in tables(broken, 20):
        console.print(each)
    assert "broken by Spotmix for 1.5 min" in console.export_text()


def test_progress_goes_from_0_to_1(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    told: list[float] = []
    perform(Request(str(file)), told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
