"""`spotmix simulate`."""

from typing import Literal

import click

from extender.cli.help import Command
from extender.cli.output import Screen, bar, print_json

PIPE_WIDTH = 160
"""Columns of the tables where there is no terminal to fit them to."""
SHOWN = 20
"""Workloads in the table; JSON has them all."""

SAMPLE = """\
apiVersion: spotmix.io/v1alpha1
kind: Simulation
duration: 24h
classes:
  spot: {price: 0.06, reclaim: {perHour: 5%, notice: 2m}}
  on-demand: {price: 0.20}
pools:
  - {name: a, class: spot, size: 6, node: {cpu: "4", memory: 16Gi}}
  - {name: b, class: on-demand, size: 6, node: {cpu: "4", memory: 16Gi}}
workloads:
  - name: web
    replicas: 20
    requests: {cpu: 500m, memory: 1Gi}
    labels: {spotmix.io/enabled: "true"}
    annotations:
      spotmix.io/spot-percentage: "70"
      spotmix.io/min-on-demand: "2"
events:
  - {at: 6h, lose: {pool: a, for: 1h}}
"""


@click.command(
    cls=Command,
    examples=(
        "spotmix simulate scenario.yaml",
        "spotmix simulate scenario.yaml --seed 7 --duration 48h -o json",
        "kubectl get -A -o json > cluster.json \\",
        "  nodes,pods,deployments,replicasets,statefulsets,jobs,pdb,namespaces,pp,cpp",
        "spotmix simulate scenario.yaml --snapshot cluster.json \\",
        "  --reclaim 5% --price spot=0.06 --price on-demand=0.20",
    ),
    samples={"A scenario": SAMPLE},
    exit_codes={
        0: "simulated",
        1: "simulated, and an eviction by Spotmix left fewer on-demand pods than a policy asks for at least",
        2: "a file or an option is wrong",
    },
)
@click.argument("file", metavar="SCENARIO")
@click.option(
    "--seed", type=int, metavar="NUMBER", help="Seed of all that is random, a whole number; wins over the scenario's."
)
@click.option(
    "--snapshot",
    default="",
    type=click.Path(),
    metavar="FILE",
    help="JSON file with the nodes, workloads, pods and policy objects to begin with, as `kubectl get -o json` prints "
    "them.",
)
@click.option(
    "--duration",
    metavar="DURATION",
    help="How long to simulate, in hours, minutes and seconds, such as 24h; wins over the scenario's.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="CLASS=PRICE",
    help="Price of a node of a class for an hour, in any currency, such as spot=0.06, where its pool has none. May be "
    "repeated.",
)
@click.option(
    "--reclaim",
    metavar="SHARE",
    help="How often a spot node is taken away in an hour, on average, such as 5%, where its pool says nothing.",
)
@click.option("--stock", is_flag=True, help="Leave Spotmix out, to see what the scheduler does by itself.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the report: a table for people, or all there is as json.",
)
@click.pass_context
def simulate(
    context: click.Context,
    file: str,
    *,
    seed: int | None,
    snapshot: str,
    duration: str | None,
    prices: tuple[str, ...],
    reclaim: str | None,
    stock: bool,
    output: Literal["table", "json"],
) -> None:
    """Say what policies would do over a day of spot interruptions, without a cluster.

    SCENARIO is a YAML file with node pools, workloads (their policies as annotations, as in a manifest), policy objects
    (`policies`) and events; or,
    with --snapshot, only what differs from that cluster. Hours pass in seconds, and the same seed gives the same
    result: two policies can be compared under the same interruptions.

    An autoscaler (`autoscaler: {launch: 40s, empty: 60s}`) brings nodes for pods that no node takes, up to the `max` of
    each pool, and removes empty ones down to its `size`; the event `refuse: {class: spot, for: 30m}` keeps it from
    getting any. Pods of workloads with spotmix.io/enforcement: affinity are gated, and get their class written on them.
    """
    from extender.cli.simulate_run import Request, exit_code, perform

    request = Request(file, seed, snapshot, duration, prices, reclaim, stock)
    with bar("simulating") as progress:
        report = perform(request, progress)
    if output == "json":
        print_json(report, indent=2)
    else:
        from extender.cli.simulate_text import tables

        screen = Screen(fit=PIPE_WIDTH)
        for part in tables(report, SHOWN):
            screen.print(part)
    context.exit(exit_code(report))
