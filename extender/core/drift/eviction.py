"""What became of an eviction: one vocabulary for the API, the loop, its reports and the simulator."""

from enum import Enum
from typing import Literal

from msgspec import Struct

Result = Literal["started", "would-move", "blocked", "refused", "changed", "unanswered", "dropped"]
"""What an answer means for a move, and its label in metrics and logs: the eviction was granted; a dry run says it would
be; a budget does not allow it; it was refused for another reason; the pod is not what was planned with; nobody
answered; this replica decides no more."""


class Answer(Enum):
    """What the API server said to an eviction, or would have said; `value` is the label in metrics."""

    EVICTED = "evicted"
    GONE = "gone"
    """There is no pod of that name."""
    CHANGED = "changed"
    """The pod of that name is another, or is not as it was planned with."""
    BUDGET = "budget"
    """Its PodDisruptionBudget allows no disruption."""
    LATER = "later"
    """Not before `Outcome.retry_after`."""
    BUDGETS = "budgets"
    """Several PodDisruptionBudgets select it."""
    FORBIDDEN = "forbidden"
    FAILED = "failed"
    """Refused for any other reason, or something that has to come before it failed."""
    UNANSWERED = "unanswered"
    """No answer of the API server itself: the eviction may have taken place."""
    DROPPED = "dropped"
    """It was not asked for, as this replica decides no more."""

    def __str__(self) -> str:
        """The label."""
        return str(self.value)


_RESULTS: dict[Answer, Result] = {
    Answer.EVICTED: "started",
    Answer.GONE: "changed",
    Answer.CHANGED: "changed",
    Answer.BUDGET: "blocked",
    Answer.LATER: "blocked",
    Answer.BUDGETS: "blocked",
    Answer.FORBIDDEN: "refused",
    Answer.FAILED: "refused",
    Answer.UNANSWERED: "unanswered",
    Answer.DROPPED: "dropped",
}


class Outcome(Struct, frozen=True):
    """What became of an eviction.

    `status` is the HTTP status, 0 when there was none; `text` tells of a refusal; `retry_after` is in seconds. `sent`
    is False when no eviction was asked for, as something that comes before it was in the way.
    """

    answer: Answer
    status: int = 0
    text: str = ""
    retry_after: float | None = None
    sent: bool = True

    def result(self, *, dry: bool = False) -> Result:
        """What it means for a move; `dry` when it was a dry run."""
        return "would-move" if dry and self.answer is Answer.EVICTED else _RESULTS[self.answer]
