"""`spotmix release-gates`: takes the scheduling gate of Spotmix off every pod, so that nothing waits for it."""

from typing import TYPE_CHECKING

import click

from extender.cli.connection import connect, connection_options
from extender.cli.help import COMMON_EXIT_CODES, Command
from extender.cli.options import options_of, settings_from
from extender.cli.output import note, print_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from extender.kube.client import ApiClient
    from extender.kube.ungating import PodsWithoutNode, Ungating, UngatingResult
    from extender.settings import Settings

    T = TypeVar("T")


@click.command(
    "release-gates",
    cls=Command,
    examples=(
        "spotmix release-gates --dry-run            # how many pods wait for Spotmix?",
        "spotmix release-gates --webhook spotmix    # before Spotmix is removed",
    ),
    exit_codes={0: "no pod has the gate any more, and none gets it", **COMMON_EXIT_CODES},
)
@click.option("--dry-run", is_flag=True, help="Say which pods have the gate, and change nothing.")
@click.option(
    "--webhook",
    default="",
    metavar="NAME",
    help="Delete this MutatingWebhookConfiguration first, so that new pods are gated no more.",
)
@click.option(
    "--placeholders",
    default="",
    metavar="NAMESPACE",
    help="Delete the placeholders of Spotmix in this namespace, its own, at the end.",
)
@click.option(
    "--timeout", default="2m", show_default=True, metavar="DURATION", help="How long it may take, such as 30s or 5m."
)
@connection_options
@options_of("kubeconfig", "context", "policy")
def release_gates(
    config_file: str, *, dry_run: bool, webhook: str, placeholders: str, timeout: str, **given: str | None
) -> None:
    """Take the scheduling gate of Spotmix off every pod of the cluster.

    Pods of workloads whose class is written on the pod are created with a gate, which Spotmix takes away once it has
    written the class. Where Spotmix does not run any more, this lets them be scheduled, on nodes of any class. It goes
    on until no pod was gated for some seconds, so it can be run while pods are being created. It may be run again.

    The Helm chart runs it before Spotmix is uninstalled.
    """
    from extender.core.policy.values import parse_duration

    settings = settings_from(config_file, given)
    try:
        seconds = parse_duration(timeout)
    except ValueError as error:
        raise click.UsageError(f"--timeout {timeout!r} {error}") from error
    if dry_run:
        _show(_run(settings, lambda _, ungating: ungating.look()))
        return

    async def release(client: "ApiClient", ungating: "Ungating") -> "UngatingResult":
        if webhook:
            there = await ungating.unhook(webhook)
            note(f"mutatingwebhookconfiguration/{webhook} {'deleted' if there else 'is not there'}")
        done = await ungating.release(seconds)
        if placeholders:
            from extender.kube.placeholders import PlaceholderPods

            count = await PlaceholderPods(client, placeholders, settings.policy.prefixes[0]).clear()
            note(f"placeholders deleted: {count}")
        return done

    _tell(_run(settings, release), timeout)


def _run(settings: "Settings", what: "Callable[[ApiClient, Ungating], Awaitable[T]]") -> "T":
    import asyncio

    from extender.core.placement.gates import gate_name
    from extender.core.policy.keys import CLASS
    from extender.kube.ungating import Ungating

    async def run() -> "T":
        prefixes = settings.policy.prefixes
        async with await connect(settings) as client:
            return await what(client, Ungating(client, gate_name(prefixes), f"{prefixes[0]}/{CLASS}"))

    return asyncio.run(run())


def _show(waiting: "PodsWithoutNode") -> None:
    for pod in waiting.gated:
        print_line(f"pod/{pod.namespace}/{pod.name} (dry run)")
    note(f"{len(waiting.gated)} pods have the gate")
    _note_decided(waiting.decided)


def _tell(done: "UngatingResult", timeout: str) -> None:
    for pod in done.released:
        print_line(f"pod/{pod.namespace}/{pod.name}")
    note(f"{len(done.released)} pods had the gate")
    _note_decided(done.decided)
    for pod, why in done.left.items():
        note(f"pod/{pod.namespace}/{pod.name} keeps the gate: {why}")
    if not done.settled:
        note(f"pods are still being gated after {timeout}: name the webhook that does it, --webhook NAME")
    if done.left or not done.settled:
        raise click.exceptions.Exit(1)


def _note_decided(count: int) -> None:
    if count:
        note(f"{count} pods wait for a node of the class that is written on them, which nobody changes any more")
