"""What the drift loop has to remember of each workload: moves in flight, moves made, moves in vain.

All times are seconds since the epoch, so that a history outlives the process that wrote it.
"""

from collections.abc import Iterator

from msgspec import Struct, field

from extender.core.drift.moves import Move
from extender.core.drift.rules import DriftRules
from extender.core.policy import Policy

HOUR = 3600.0


def direction(source: str, destination: str) -> str:
    """The key of a direction in a history."""
    return f"{source}>{destination}"


def seats_text(policy: Policy) -> str:
    """What a policy says of seats, as a text that outlives the process."""
    return f"{policy.seats} {policy.when_unsatisfiable}"


class InFlight(Struct, frozen=True, gc=False):
    """A move whose eviction was sent, at `at`.

    Its replacement is a pod of the revision created after `newest` (seconds), the creation time of the youngest pod
    that the revision had then, or in that same second and not among `siblings`: both are the API server's time. `dry`
    moves never are in flight.
    """

    move: Move
    at: float
    newest: float
    siblings: tuple[str, ...] = ()


class BackOff(Struct, frozen=True, gc=False):
    """`failures` moves in a row were in vain; no other before `until`."""

    failures: int
    until: float


class WorkloadHistory(Struct):
    """See the module.

    `moved` are the times of voluntary moves of the last hour. `back_off` is by direction, see `direction`. `vain` are
    the times of moves in vain within the circuit's window. `opened` is when the circuit was opened, 0 while it is
    closed, and `judged_by` the policy that it was opened under: another one closes it. (The size does not: an
    autoscaler changes it all day long.)
    """

    in_flight: list[InFlight] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    back_off: dict[str, BackOff] = field(default_factory=dict)
    vain: list[float] = field(default_factory=list)
    opened: float = 0.0
    judged_by: str = ""

    def moves_in_hour(self, now: float) -> int:
        """Voluntary moves within the last hour."""
        return sum(1 for at in self.moved if now - at < HOUR)

    def backs_off(self, source: str, destination: str, now: float) -> bool:
        """Whether moves in this direction wait."""
        back_off = self.back_off.get(direction(source, destination))
        return back_off is not None and now < back_off.until

    def is_open(self, policy: Policy, rules: DriftRules, now: float) -> bool:
        """Whether the circuit is open, so that nothing is moved."""
        return bool(self.opened) and self.judged_by == seats_text(policy) and now - self.opened < rules.circuit_reset


class History:
    """The histories of all workloads, by workload UID. `changed` names those that differ from what was stored."""

    def __init__(self) -> None:
        self.workloads: dict[str, WorkloadHistory] = {}
        self.changed: set[str] = set()

    def get(self, workload: str) -> WorkloadHistory | None:
        """The history of a workload, if it has one."""
        return self.workloads.get(workload)

    def in_flight(self) -> Iterator[InFlight]:
        """Every move in flight."""
        for history in self.workloads.values():
            yield from history.in_flight
