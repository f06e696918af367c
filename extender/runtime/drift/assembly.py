"""Puts the drift loop together."""

from datetime import UTC, datetime

from msgspec.structs import replace

from extender.core.drift.placeholders import Placeholders
from extender.core.model.objects import OwnerRef
from extender.core.state.state import ClusterState
from extender.kube.driftstore import DriftStore, store_namespace
from extender.kube.incluster import own_namespace
from extender.kube.placeholders import PlaceholderPods
from extender.runtime.drift.context import Channels, Context
from extender.runtime.drift.loop import DriftLoop
from extender.runtime.drift.memory import Memory
from extender.runtime.drift.placeholders import PlaceholderLoop
from extender.runtime.ownobjects import own_deployment
from extender.runtime.whoami import identity
from extender.settings import Settings
from extender.settings.rules import drift_options, drift_rules
from extender.settings.sections.drift import DriftSettings
from extender.settings.sections.process import LeaderElectionSettings
from extender.wire.lease_v1 import micro_time
from extender.wire.placeholder_v1 import Making


def assemble(
    settings: DriftSettings, state: ClusterState, context: Context, channels: Channels, *, startup: float = 600.0
) -> DriftLoop:
    """The loop under these settings.

    Args:
        settings: how careful to be.
        state: the cluster.
        context: what the loop is connected with.
        channels: where it tells of what it does.
        startup: how long a node may take to come (seconds).
    """
    store = DriftStore(context.client, store_namespace(settings), settings.store)
    memory = Memory(store, state.interruptions, context.now, _term, context.report)
    placeholders = Placeholders(state, replace(drift_rules(settings), node_startup=startup))
    return DriftLoop(state, drift_options(settings), memory, context, channels, placeholders)


def assemble_placeholders(
    settings: Settings, loop: DriftLoop, state: ClusterState, context: Context, channels: Channels
) -> PlaceholderLoop:
    """What makes and deletes the placeholders of a loop; arguments as of `assemble`."""
    namespace = store_namespace(settings.drift)
    making = Making(namespace, settings.drift.placeholder_image, settings.policy.prefixes[0])
    owner = _Owner(settings.leader_election, state, namespace)
    return PlaceholderLoop(state, loop.placeholders, context, channels, making, owner.find)


class _Owner:
    """Finds what placeholders belong to, so that they go with it: our Deployment, else our Lease."""

    def __init__(self, election: LeaderElectionSettings, state: ClusterState, namespace: str) -> None:
        self._election, self._state, self._namespace = election, state, namespace

    async def find(self, pods: PlaceholderPods) -> OwnerRef | None:
        """The owner; None where there is none in the namespace of placeholders."""
        election = self._election
        if own_namespace() == (self._namespace,):
            owner = own_deployment(self._state)
            if owner is not None:
                return owner
        lease_in = election.namespace or next(iter(own_namespace()), "")
        if not election.enabled or self._namespace != lease_in:
            return None
        return await pods.owner("coordination.k8s.io", "v1", "Lease", "leases", election.name)


def _term() -> str:
    return f"{identity()} {micro_time(datetime.now(UTC))}"
