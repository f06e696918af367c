"""How careful the drift loop is."""

from msgspec import Struct


class DriftRules(Struct, frozen=True, gc=False):
    """The limits. Durations in seconds, shares in percent.

    Attributes:
        max_in_flight: moves in flight in the cluster.
        workload_in_flight: share of a workload's replicas that may be in flight, at least one pod.
        max_unavailable: share of a workload's replicas that may be unavailable, the move included, at least one pod.
        min_age: a younger pod is not moved.
        dwell: how long a node must have been Ready and not going away before pods are moved to it.
        not_ready: the loop pauses while a greater share of the nodes is being lost: not Ready, and not for long.
        singletons: whether the only replica of a workload is moved.
        drain: whether pods leave an interrupted spot node before it is taken away.
        drain_unavailable: as `max_unavailable`, for pods that leave an interrupted node and have no budget.
        back_off: wait after a move in vain; doubled by each further one.
        max_back_off: the longest such wait.
        circuit_moves: moves in vain within `circuit_window` after which a workload is left alone.
        circuit_window: see `circuit_moves`.
        circuit_reset: how long it is left alone, unless its policy or size changes before.
        patience: how long a replacement may take to become ready.
        blocked_after: how long a surplus pod stays before its owner is told why.
        placeholders: most placeholders in the cluster; 0 has none.
        node_startup: how long a placeholder may take to run, or be kept unused.
    """

    max_in_flight: int = 10
    workload_in_flight: int = 10
    max_unavailable: int = 5
    min_age: float = 120.0
    dwell: float = 300.0
    not_ready: int = 20
    singletons: bool = False
    drain: bool = True
    drain_unavailable: int = 25
    back_off: float = 60.0
    max_back_off: float = 3600.0
    circuit_moves: int = 3
    circuit_window: float = 6 * 3600.0
    circuit_reset: float = 24 * 3600.0
    patience: float = 900.0
    blocked_after: float = 300.0
    placeholders: int = 3
    node_startup: float = 600.0

    @property
    def placeholder_limit(self) -> int:
        """Most placeholders at the same time: no more than moves may be in flight."""
        return min(self.placeholders, self.max_in_flight)

    def wait_after(self, failures: int) -> float:
        """How long to back off after so many times in vain in a row (seconds)."""
        return min(self.max_back_off, self.back_off * 2.0 ** min(failures - 1, 30))

    def in_flight_limit(self, replicas: int) -> int:
        """Most moves in flight of a workload of this size."""
        return max(1, replicas * self.workload_in_flight // 100)

    def unavailable_limit(self, replicas: int) -> int:
        """Most pods that may be unavailable in a workload of this size, a pod being moved included."""
        return max(1, replicas * self.max_unavailable // 100)

    def drain_limit(self, replicas: int) -> int:
        """Most pods that may be unavailable in a workload of this size that leaves an interrupted node."""
        return max(1, replicas * self.drain_unavailable // 100)


class DriftOptions(Struct, frozen=True, gc=False):
    """How the loop runs.

    Attributes:
        rules: how careful it is.
        interval: seconds between two looks at everything.
        read_only: whether it makes dry runs only.
        polled: whether nobody tells what is touched. Then the controller is asked every tick, and a look at everything
            is one even where nothing at all has happened, in case a change was missed.
    """

    rules: DriftRules
    interval: float = 30.0
    read_only: bool = False
    polled: bool = True
