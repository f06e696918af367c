"""What the console and the API are shown of this process."""

import time
from collections.abc import Callable, Mapping

from extender import __version__
from extender.core.answers.decisions import DecisionLog
from extender.core.answers.faults import Met
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState
from extender.kube.reflector import Health
from extender.kube.seams import Report
from extender.runtime.drift import DriftLoop
from extender.runtime.drift.freshness import faults, holds_up_all
from extender.servers.answers.sources import DriftSource, Sources
from extender.settings.sections.drift import DriftSettings


def sources(
    settings: DriftSettings,
    *,
    state: ClusterState,
    decisions: DecisionLog,
    drift: DriftLoop,
    health: Callable[[], Mapping[str, Health]],
    obstacle: Callable[[], Reason | None],
    report: Report,
    met: Met,
) -> Sources:
    """All that they need.

    Args:
        settings: of the drift loop.
        state: the cluster.
        decisions: the last ones.
        drift: the loop, running or not.
        health: how well each resource is followed.
        obstacle: why this replica makes no decision now.
        report: told of whatever goes wrong.
        met: told of faults of one workload.
    """
    drifting = DriftSource(
        mode_of(settings),
        drift.rules,
        lambda: drift.memory.history,
        lambda: drift.memory.unreadable,
        lambda: not holds_up_all(faults(health(), time.monotonic())),
        lambda: drift.view.paused,
        lambda: drift.placeholders.proofs(time.time()),
    )
    return Sources(state, decisions, drifting, obstacle, time.time, __version__, report, met)


def mode_of(settings: DriftSettings) -> str:
    """How the drift loop runs, in the words of `DriftSource`."""
    return "off" if not settings.enabled else "dry run" if settings.read_only else "on"
