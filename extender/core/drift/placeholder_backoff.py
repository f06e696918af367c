"""When the next placeholder may ask for what others have asked for in vain.

What an autoscaler refuses it refuses within seconds, and nothing is paid for it: that is asked for again soon, and each
time a quarter later, so that what was gone for a while is found to be back within a quarter of that while. All else is
found out late, or by a person's rule, and waits as moves in vain do.
"""

from msgspec import Struct

from extender.core.drift.placeholder import Ending
from extender.core.drift.proofs import Shut
from extender.core.drift.rules import DriftRules
from extender.core.model.reasons import Reason, Refusal
from extender.core.state.state import ClusterState

FIRST, GROWTH = 5.0, 1.25
"""The wait after the first refusal by an autoscaler, unless `back_off` is shorter (seconds), and its growth."""
_MOST = 100


class _Wait(Struct):
    """`failures` placeholders in a row were in vain; no other before `until`, unless a node of the class joins."""

    failures: int
    since: float
    until: float
    refusal: Refusal


class PlaceholderBackoff:
    """What cannot be had for a while, for all who ask for the same.

    Args:
        state: the cluster.
        rules: how long to wait.
    """

    def __init__(self, state: ClusterState, rules: DriftRules) -> None:
        self._state, self._rules = state, rules
        self._waits: dict[Shut, _Wait] = {}

    def go_by(self, rules: DriftRules) -> None:
        """Wait as other rules say from now on."""
        self._rules = rules

    def __len__(self) -> int:
        return len(self._waits)

    def failed(self, shut: Shut, ending: Ending, detail: str, asked: float, now: float) -> float:
        """A placeholder was in vain.

        Args:
            shut: what it asked for.
            ending: how it ended.
            detail: says more.
            asked: when it was asked for; those that were asked for together fail together.
            now: seconds since the epoch.

        Returns:
            When the next one may be asked for.
        """
        before = self._waits.get(shut)
        failures = 1 if before is None else before.failures + (asked >= before.until)
        reason = Reason.PLACEHOLDER_DENIED if ending is Ending.DENIED else Reason.PLACEHOLDER_REFUSED
        until = now + self._seconds(ending, failures)
        self._waits[shut] = _Wait(failures, now, until, Refusal(reason, detail))
        return until

    def _seconds(self, ending: Ending, failures: int) -> float:
        rules = self._rules
        if ending is not Ending.REFUSED:
            return rules.wait_after(failures)
        return min(rules.max_back_off, min(FIRST, rules.back_off) * GROWTH ** min(failures - 1, _MOST))

    def proved(self, shut: Shut) -> None:
        """One has come to run."""
        self._waits.pop(shut, None)

    def is_shut(self, shut: Shut, now: float) -> bool:
        """Whether none may ask for it now."""
        wait = self._waits.get(shut)
        if wait is None or not wait.since <= now < wait.until:
            return False
        nodes = self._state.placeable.get(shut[0], {}).values()
        # A node that joined since says that there is capacity again.
        return wait.refusal.reason is Reason.PLACEHOLDER_DENIED or not any(
            node.steady_since > wait.since and node.facts is not None and node.facts.ready for node in nodes
        )

    def refused(self, now: float) -> dict[Shut, Refusal]:
        """Why none is asked for, of all that is shut now."""
        return {shut: wait.refusal for shut, wait in self._waits.items() if self.is_shut(shut, now)}

    def forget(self, now: float) -> None:
        """Drop what matters no more."""
        if self._waits:
            memory = self._rules.max_back_off
            self._waits = {shut: wait for shut, wait in self._waits.items() if now - wait.until < memory}

    def clear(self) -> None:
        """Know nothing of what was before."""
        self._waits.clear()
