"""The keys of a policy, and what each is read as while its value is wrong.

A slip in one key costs no other key its meaning. It costs its own in the way that hurts least: what a workload may not
have of spot is never guessed, and nobody who cannot say when pods may be moved has any moved.
"""

from collections.abc import Mapping

from msgspec import Struct

ALL_ON_DEMAND = "all replicas are on-demand"
"""What a wrong key is read as without which there is no telling what of a workload may be lost."""


class WhenWrong(Struct, frozen=True):
    """What a key is read as while its value is wrong (`text`, in Markdown), and whether pods are moved then."""

    text: str
    moves: bool = False

    @property
    def splits(self) -> bool:
        """Whether there is no split without it."""
        return self.text == ALL_ON_DEMAND


WHEN_WRONG: Mapping[str, WhenWrong] = {
    "spot-percentage": WhenWrong(ALL_ON_DEMAND),
    "min-on-demand": WhenWrong(ALL_ON_DEMAND),
    "max-spot": WhenWrong(ALL_ON_DEMAND),
    "on-demand-base": WhenWrong(ALL_ON_DEMAND),
    "classes": WhenWrong(ALL_ON_DEMAND),
    "when-unsatisfiable": WhenWrong("`fallback`"),
    "fallback-to": WhenWrong("`on-demand`"),
    "fallback-after": WhenWrong("`0s`"),
    "max-per-pool": WhenWrong(ALL_ON_DEMAND),
    "disruption-schedule": WhenWrong("no window is open"),
    "disruption-duration": WhenWrong("no window is open"),
    "timezone": WhenWrong("no window is open"),
    "max-moves-per-hour": WhenWrong("`0`"),
    "mode": WhenWrong(ALL_ON_DEMAND),
    "scheduler-name": WhenWrong("nobody wrote it", moves=True),
    "enforcement": WhenWrong("`auto`", moves=True),
}

KEYS = tuple(WHEN_WRONG)

CLASS = "class"
"""Key of the annotation that says which class was written on a pod."""

GATE = "placement"
"""Name of our scheduling gate, below our prefix."""

PLACEHOLDER = "placeholder"
"""Key of the label of placeholders."""

OTHER_KEYS = ("enabled", "do-not-disrupt", "inject-extender", "capacity-class", "wake", CLASS, PLACEHOLDER)
"""Keys under our prefix that say something else than the policy, or that we write ourselves."""
