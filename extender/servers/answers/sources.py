"""What the console and the API tell of: the state itself and, by functions, what changes beside it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from extender.core.answers.decisions import DecisionLog
from extender.core.answers.faults import Met
from extender.core.drift.history import History
from extender.core.drift.preview import Knowledge
from extender.core.drift.proofs import Proofs
from extender.core.drift.rules import DriftRules
from extender.core.model.access import Attributes, User
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState


class DriftSource(Struct):
    """What the drift loop plans with; `mode` and `rules` change with the configuration.

    `mode` is "on", "dry run" or "off". `history` remembers nothing where another replica leads; `unreadable` says of
    which workloads (UIDs) it cannot be read, and why. `current` says whether the state may be relied on; `paused` why
    nothing at all is moved, None while something may be. `proofs` is the room that placeholders keep.
    """

    mode: str
    rules: DriftRules
    history: Callable[[], History]
    unreadable: Callable[[], Mapping[str, str]]
    current: Callable[[], bool]
    paused: Callable[[], Reason | None]
    proofs: Callable[[], Proofs] = Proofs

    def known(self) -> Knowledge:
        """What plans are made with, as it is now."""
        return Knowledge(self.history(), self.rules, self.current(), self.unreadable(), self.proofs())


class Sources(Struct, frozen=True):
    """All that answers are made of.

    `obstacle` is why this replica makes no decision now, None when it decides. `now` gives seconds since the epoch.
    `report` is told of faults: what met one, and which; `met` of those of one workload.
    """

    state: ClusterState
    decisions: DecisionLog
    drifting: DriftSource
    obstacle: Callable[[], Reason | None]
    now: Callable[[], float]
    version: str
    report: Callable[[str, str], None]
    met: Met


TOLD = "an Event SpotmixFault on it, the log and spotmix_workload_faults_total tell of it too"
"""Where else a fault of one workload is told."""


class Authorizer(Protocol):
    """Asks Kubernetes whom a token belongs to, and what they may; `kube.access.Access` is one.

    Both raise `Unauthenticated` for a token that is not accepted, and `ApiError` when the API server does not say.
    """

    async def who(self, token: str) -> User:
        """Whom a token belongs to, whatever they may."""
        ...

    async def allow(self, token: str, attributes: Attributes) -> User:
        """Whom a token belongs to, if they may; raises `Forbidden` when they may not."""
        ...
