"""`spotmix release-gates`: takes the scheduling gate of Spotmix off every pod, so that nothing waits for it."""

from typing import TYPE_CHECKING

import click

from extender.cli.help import COMMON_EXIT_CODES, Command
from extender.cli.options import options_of, settings_from
from extender.cli.output import note, print_line

if TYPE_CHECKING:
    from extender.core.model.objects import PodId
    from extender.settings import Settings

_AT_ONCE = 16


@click.command(
    "release-gates",
    cls=Command,
    examples=(
        "spotmix release-gates --dry-run    # how many pods wait for Spotmix?",
        "spotmix release-gates              # before Spotmix is removed",
    ),
    exit_codes={0: "no pod has the gate any more, but for those that are held by others too", **COMMON_EXIT_CODES},
)
@click.option("--dry-run", is_flag=True, help="Say which pods have the gate, and change nothing.")
@options_of("kubeconfig", "context", "policy")
def release_gates(config_file: str, *, dry_run: bool, **given: str | None) -> None:
    """Take the scheduling gate of Spotmix off every pod of the cluster.

    Pods of workloads with spotmix.io/enforcement: affinity are created with a gate, which Spotmix takes away once it
    has written their capacity class on them. Where Spotmix does not run any more, this lets them be scheduled, on nodes
    of any class. No other Spotmix should be running: it would gate new pods.
    """
    import asyncio

    settings = settings_from(config_file, given)
    names, failed = asyncio.run(_release(settings, dry_run=dry_run))
    for name in names:
        print_line(f"pod/{name}{' (dry run)' if dry_run else ''}")
    note(f"{len(names)} pods {'have' if dry_run else 'had'} the gate")
    for text in failed:
        note(text)
    if failed:
        raise click.exceptions.Exit(1)


async def _release(settings: "Settings", *, dry_run: bool) -> tuple[list[str], list[str]]:
    """The pods that had the gate, as namespace/name, and what went wrong."""
    import asyncio

    from extender.core.model.errors import ApiError
    from extender.core.placement.gates import Release, gate_name
    from extender.kube.client import ApiClient
    from extender.kube.patches import PodPatches
    from extender.listing import list_cluster

    async with await ApiClient.connect(settings.kubeconfig or None, settings.context or None) as client:
        listing = await list_cluster(client, settings)
        gate = gate_name(settings.policy.prefixes)
        pods = [record.id for record in listing.state.gated.values() if gate in record.gates]
        pods.sort(key=lambda pod: (pod.namespace, pod.name))
        patches, turns, failed = PodPatches(client), asyncio.Semaphore(_AT_ONCE), list[str]()

        async def release(pod: "PodId") -> None:
            async with turns:
                try:
                    await patches.release(Release(pod, gate, {}))
                except ApiError as error:
                    failed.append(f"pod/{pod.namespace}/{pod.name}: {error}")

        if not dry_run:
            await asyncio.gather(*(release(pod) for pod in pods))
        return [f"{pod.namespace}/{pod.name}" for pod in pods], failed
