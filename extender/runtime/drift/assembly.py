"""Puts the drift loop together."""

from datetime import UTC, datetime

from extender.core.state.state import ClusterState
from extender.kube.driftstore import DriftStore
from extender.runtime.drift.context import Channels, Context
from extender.runtime.drift.loop import DriftLoop
from extender.runtime.drift.memory import Memory
from extender.runtime.whoami import identity, own_namespace
from extender.settings.rules import drift_options
from extender.settings.sections import DriftSettings
from extender.wire.lease_v1 import micro_time

DEFAULT_NAMESPACE = "default"


def store_namespace(settings: DriftSettings) -> str:
    """Where the loop's ConfigMap is."""
    return next(filter(None, (settings.namespace, *own_namespace(), DEFAULT_NAMESPACE)))


def assemble(settings: DriftSettings, state: ClusterState, context: Context, channels: Channels) -> DriftLoop:
    """The loop under these settings.

    Args:
        settings: how careful to be.
        state: the cluster.
        context: what the loop is connected with.
        channels: where it tells of what it does.
    """
    store = DriftStore(context.client, store_namespace(settings), settings.store)
    memory = Memory(store, lambda: f"{identity()} {micro_time(datetime.now(UTC))}", context.report)
    return DriftLoop(state, drift_options(settings), memory, context, channels)
