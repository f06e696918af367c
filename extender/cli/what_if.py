"""`spotmix what-if`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from extender.cli.cluster import cluster_options, namespace_option, see
from extender.cli.connection import connection_options
from extender.cli.formats import Output, output_option, print_answer, type_name
from extender.cli.help import COMMON_EXIT_CODES, Command
from extender.cli.objects import object_argument, parts_of
from extender.cli.options import settings_from
from extender.cli.output import note
from extender.cli.service import Target, ask, default_namespace, note_obstacle, service_or_local_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extender.cli.client import Client
    from extender.cli.output import Part
    from extender.cli.questions import WhatIfAnswer
    from extender.core.whatif.outlook import Change, WhatIf

WORSE = 3
"""Exit code of `--exit-code` when pods would have no node or a floor would not be kept."""


class Asked(Struct, frozen=True):
    """A change whose workload may lack its namespace, and the files with policy objects."""

    change: "Change"
    files: tuple[str, ...]


def _pairs(option: str, texts: tuple[str, ...], example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"{option} is {text!r}; write KEY=VALUE, such as {example}")
        if key.strip() in pairs:
            raise click.UsageError(f"{option} gives {key.strip()} twice; keep one")
        pairs[key.strip()] = value
    return pairs


def _prices(texts: tuple[str, ...]) -> dict[str, float]:
    prices: dict[str, float] = {}
    for name, text in _pairs("--price", texts, "spot=0.06").items():
        try:
            prices[name] = float(text)
        except ValueError as error:
            raise click.UsageError(f"--price of {name} is {text!r}; write a number, such as {name}=0.20") from error
    return prices


def _change(
    what: str, replicas: int | None, policy: dict[str, str], pools: tuple[str, ...], prices: dict[str, float]
) -> "Change":
    """What is supposed; the workload's namespace is not known yet."""
    from extender.core.answers.plan import WorkloadName
    from extender.core.whatif.outlook import Change, LostPool

    lost = []
    for text in pools:
        parts = ["" if part.strip() == "*" else part.strip() for part in text.split("/")]
        if len(parts) > 3:
            raise click.UsageError(f"--lose-pool is {text!r}; write CLASS/INSTANCE_TYPE/ZONE, * for any")
        lost.append(LostPool(*parts))
    kind, _, name = what.partition("/")
    return Change(WorkloadName("", kind, name) if what else None, replicas, policy, tuple(lost), prices)


def _named(what: str, name: str) -> str:
    """TYPE/NAME, however it was written; empty for none."""
    return "/".join(parts_of(what, name, "deploy/NAME")) if what else ""


@click.command(
    "what-if",
    cls=Command,
    examples=(
        "spotmix what-if deploy/web --replicas 40",
        "spotmix what-if deploy/web --set spot=80% --set min-on-demand=3",
        "spotmix what-if --policy policy.yaml",
        "spotmix what-if --lose-pool spot/m5.large",
        "spotmix what-if deploy/web --replicas 40 --lose-pool 'spot/*/eu-west-1a'",
    ),
    exit_codes={
        0: "shown",
        1: f"there is no such workload or pool, or {COMMON_EXIT_CODES[1]}",
        2: f"{COMMON_EXIT_CODES[2]}, there can be no such change, or FILE has no policy object that could be applied",
        WORSE: "with --exit-code alone: pods would have no node, or fewer would be on demand than a policy asks for",
    },
)
@object_argument(required=False)
@namespace_option
@click.option(
    "--replicas",
    type=click.IntRange(0, 10_000),
    metavar="COUNT",
    help="Suppose that the workload has this many replicas.",
)
@click.option(
    "--set",
    "policy",
    multiple=True,
    metavar="KEY=VALUE",
    help="Suppose that the workload has this key of a policy, such as spot=80%, min-on-demand=3 or "
    "when-unsatisfiable=wait. An empty value takes the workload's own away; enabled=true or enabled=false is the "
    "label. May be repeated.",
)
@click.option(
    "--policy",
    "policy_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="Suppose that the PlacementPolicies and ClusterPlacementPolicies in this manifest were applied; - is standard "
    "input. One comes in the place of its namesake. May be repeated.",
)
@click.option(
    "--lose-pool",
    "pools",
    multiple=True,
    metavar="CLASS[/TYPE[/ZONE]]",
    help="Suppose that all nodes of this class, instance type and zone are gone, such as spot/m5.large; * or nothing "
    "is any. May be repeated.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="CLASS=PRICE",
    help="Price of a node of a class, in any currency, to compare costs, such as spot=0.3 and on-demand=1. May be "
    "repeated.",
)
@click.option(
    "--exit-code",
    "tells",
    is_flag=True,
    help="End with code 3 when pods would have no node, or fewer would be on demand than a policy asks for at least.",
)
@output_option
@service_or_local_options
@connection_options
@cluster_options
def what_if(
    config_file: str,
    what: str,
    name: str,
    namespace: str,
    target: Target,
    *,
    replicas: int | None,
    policy: tuple[str, ...],
    policy_files: tuple[str, ...],
    pools: tuple[str, ...],
    prices: tuple[str, ...],
    tells: bool,
    output: Output,
    **given: str | None,
) -> None:
    """Say what would happen to workloads if one had another size or policy, or a pool of nodes were lost.

    Several changes may be supposed together. Nothing is changed. With --policy it tells for which workloads a policy
    object would speak, which it would lose to another, and what their split would be. A workload that is not managed
    can be given a policy, to see what that would do before it is opted in. Pairs of numbers are pods there / pods
    wanted.

    What happens is found with the functions that place and move pods. It takes the cluster as it is now: it knows
    neither nodes that an autoscaler would add, nor priorities and preemption, nor which of several workloads comes
    first.

    A running Spotmix is asked, which is found through the kubeconfig. Where there is none, or with --local, the answer
    is computed here from what the kubeconfig lets list.
    """
    keys, costs = _pairs("--set", policy, "spot=80%"), _prices(prices)
    change = _change(_named(what, name), replicas, keys, pools, costs)
    if change.workload is None and (replicas is not None or policy):
        raise click.UsageError("--replicas and --set are for one workload: name it, as in deploy/NAME")
    if replicas is None and not policy and not pools and not policy_files:
        raise click.UsageError("nothing is supposed: give --replicas, --set, --policy or --lose-pool")
    answer = _answer(config_file, given, target, namespace, Asked(change, policy_files))

    def people() -> "Iterator[Part]":
        from extender.cli.what_if_text import text_of

        return text_of(answer, wide=output.wide)

    print_answer(output, answer, [(type_name(each.kind, each.name), each) for each in answer.workloads], people)
    after = answer.after
    click.get_current_context().exit(WORSE if tells and (after.pending or after.below_floor) else 0)


def _answer(config_file: str, given: dict[str, str | None], target: Target, namespace: str, asked: Asked) -> "WhatIf":
    """What a running Spotmix says, or what is computed here."""
    import asyncio

    from msgspec.structs import replace

    from extender.core.whatif.what_if import what_if as look_ahead
    from extender.settings.rules import drift_rules, rules_of
    from extender.wire.placementpolicy_v1 import read_policy

    settings = settings_from(config_file, given)
    change, objects, meant = asked.change, list[str](), namespace
    if change.workload is not None or asked.files:
        meant = namespace or default_namespace(settings, target)
    if change.workload is not None:
        change = replace(change, workload=replace(change.workload, namespace=meant))
    if asked.files:
        from extender.cli.what_if_policies import manifests

        objects = manifests(asked.files, rules_of(settings), meant)

    async def question(client: "Client") -> "WhatIfAnswer":
        from extender.cli.questions import what_if as simulate

        return await simulate(client, change, objects)

    told = asyncio.run(ask(target, settings, {"config_file": config_file, **given}, question))
    if told is not None:
        note_obstacle(told.obstacle)
        left_out = told.touched - len(told.answer.workloads)
        if left_out:
            note(f"{left_out} workloads more are touched; the sums are of all")
        return told.answer
    seen = see(config_file, given, namespace)
    seen.note_missing("poddisruptionbudgets.policy")
    policies = [read_policy(each.encode()) for each in objects]
    return look_ahead(seen.state, change, seen.now, drift_rules(settings.drift), policies)
