"""`spotmix drift plan`."""

from typing import TYPE_CHECKING

import click

from extender.cli.connection import connect, connection_options
from extender.cli.formats import Output, output_option, print_answer, type_name
from extender.cli.help import COMMON_EXIT_CODES, CommandGroup
from extender.cli.options import options_of, settings_from
from extender.cli.output import note
from extender.cli.service import Target, ask, note_obstacle, service_or_local_options
from extender.cli.wanted import Wanted, wanted, wanted_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extender.cli.client import Client
    from extender.cli.output import Part
    from extender.cli.questions import PlanAnswer
    from extender.core.answers.plan import DriftReport
    from extender.core.answers.scope import Scope
    from extender.core.drift.history import History
    from extender.core.drift.preview import Knowledge
    from extender.core.state.state import ClusterState
    from extender.kube.client import ApiClient
    from extender.settings import Settings

BUDGETS = "poddisruptionbudgets.policy"


@click.group(cls=CommandGroup)
def drift() -> None:
    """Look at the drift loop, which moves pods so that workloads come back to their split."""


@drift.command(
    "plan",
    examples=("spotmix drift plan -A", "spotmix drift plan -n shop -o wide", "spotmix drift plan -A --verify -o json"),
    exit_codes={
        0: "shown",
        **COMMON_EXIT_CODES,
        1: f"{COMMON_EXIT_CODES[1]}; or PodDisruptionBudgets cannot be listed, without which nothing is moved",
    },
)
@wanted_options
@click.option(
    "--verify",
    is_flag=True,
    help="Ask the API server, by dry runs, whether it would evict each pod; needs the right to create pods/eviction.",
)
@output_option
@service_or_local_options
@connection_options
@options_of("kubeconfig", "context", "policy", "classes", "drift")
def plan_command(
    config_file: str,
    namespace: str,
    selector: str,
    target: Target,
    *,
    all_namespaces: bool,
    verify: bool,
    output: Output,
    **given: str | None,
) -> None:
    """Show which pods the drift loop would move now, and why other pods stay on the wrong class of nodes.

    Nothing is changed, also with --verify.

    A running Spotmix is asked, which is found through the kubeconfig. Where there is none, or with --local, the answer
    is computed here from what the kubeconfig lets list. Moves in flight and waiting times after moves that
    did not help are then read from the ConfigMap of the service. With --config, and with options that say how nodes and
    policies are read, the plan is computed here too.
    """
    import asyncio

    settings = settings_from(config_file, given)
    meant = wanted(settings, target, namespace, selector, all_namespaces=all_namespaces)
    answer = asyncio.run(_ask(settings, target, {"config_file": config_file, **given}, meant, verify=verify))
    if answer is None:
        report, notes, complete = asyncio.run(_see(settings, meant, verify=verify))
    else:
        report, notes, complete = answer.report, _told(answer), True

    def people() -> "Iterator[Part]":
        from extender.cli.drift_text import tables

        return tables(report, meant.where, wide=output.wide, verified=verify)

    print_answer(output, report, [(type_name("pod", move.pod.name), move) for move in report.moves], people)
    for each in notes:
        note(each)
    note_obstacle(answer.obstacle if answer is not None else None)
    click.get_current_context().exit(0 if complete else 1)


async def _ask(
    settings: "Settings", target: Target, given: "Mapping[str, str | None]", meant: Wanted, *, verify: bool
) -> "PlanAnswer | None":
    """What a running Spotmix says; None when it is to be computed here."""
    from msgspec.structs import replace

    async def question(client: "Client") -> "PlanAnswer":
        from extender.cli.questions import plan

        return await plan(client, meant)

    answer = await ask(target, settings, given, question)
    if answer is None or not verify:
        return answer

    async with await connect(settings) as client:
        return replace(answer, report=await _verify(client, answer.report))


def _told(answer: "PlanAnswer") -> list[str]:
    """What is to be said about a plan of the service."""
    if answer.mode == "off":
        return ["the drift loop is off: this is what it would do"]
    if answer.mode == "dry run":
        return ["the drift loop is in dry run: it reports, and moves nothing"]
    return []


async def _see(settings: "Settings", meant: Wanted, *, verify: bool) -> "tuple[DriftReport, list[str], bool]":
    """The report, what is to be said about it, and whether all that a plan needs could be read."""
    import time

    from extender.core.drift.preview import Knowledge
    from extender.listing import list_cluster
    from extender.settings.rules import drift_rules

    async with await connect(settings) as client:
        sight = await list_cluster(client, settings)
        history, faults, notes = await _remember(client, settings)
        current = BUDGETS not in sight.missing
        known = Knowledge(history, drift_rules(settings.drift), current, faults)
        told = computed(sight.state, known, time.time(), meant.scope())
        if verify:
            told = await _verify(client, told)
    notes += [f"{key} could not be listed: {why}{_without(key)}" for key, why in sorted(sight.missing.items())]
    return told, notes, current


def computed(state: "ClusterState", known: "Knowledge", now: float, scope: "Scope") -> "DriftReport":
    """What the drift loop would do at `now` (seconds since the epoch), told of the workloads of `scope`."""
    from extender.core.answers.plan import report
    from extender.core.drift.preview import preview
    from extender.core.model.steps import run_steps

    made = run_steps(preview(state, known, now))
    return report(state, made, known.history, now, scope)


def _without(key: str) -> str:
    if key == BUDGETS:
        return "; without PodDisruptionBudgets nothing is moved: ask for a role that may list them"
    return "; pods with volumes stay where they are" if key.startswith("persistentvolume") else ""


async def _remember(client: "ApiClient", settings: "Settings") -> "tuple[History, Mapping[str, str], list[str]]":
    """The history that the service has stored, which of it does not decode and why, and what is to be said about it."""
    from extender.core.drift.history import History
    from extender.core.model.errors import ApiError, WireError
    from extender.kube.driftstore import DriftStore, store_namespace
    from extender.wire.drift_v1 import INTERRUPTIONS, decode_history

    history, faults = History(), dict[str, str]()
    store = DriftStore(client, store_namespace(settings.drift), settings.drift.store)
    try:
        entries = await store.read()
    except ApiError as error:
        if error.status not in {403, 404}:
            raise
        why = "is not there" if error.status == 404 else f"cannot be read: {error}"
        return history, faults, [f"{store} {why}; planned as if no pod had been moved before (see --drift-namespace)"]
    entries.pop(INTERRUPTIONS, None)
    for uid, text in entries.items():
        try:
            history.workloads[uid] = decode_history(text)
        except WireError as error:
            faults[uid] = f"{store}, {uid}: {error}"
    return history, faults, []


async def _verify(client: "ApiClient", report: "DriftReport") -> "DriftReport":
    """Ask the API server about the evictions, one after another."""
    from extender.core.answers.plan import EvictionVerdict, doubted, with_verdicts
    from extender.kube.eviction import Evictor

    evictor = Evictor(client)
    verdicts = {}
    for pod in doubted(report):
        outcome = await evictor.evict(pod, dry_run=True)
        verdicts[pod] = EvictionVerdict(str(outcome.answer), outcome.status, outcome.text)
    return with_verdicts(report, verdicts)
