"""What properties need beside Hypothesis: values that are rare, and the proof that rare worlds were met."""

from collections import Counter
from typing import Any

from hypothesis import strategies as st


def seldom(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Mostly as usual, each of up to eleven others once in twelve: what is wrong everywhere leaves nothing to see."""
    return st.integers(0, 11).map(lambda number: others[number] if number < len(others) else usual)


class Met:
    """Counts how many examples of a property were of some sort; a property that never meets its case holds of nothing.

    One is made in a test around the property: it takes in each example, and `at_least` is asked when all have run.
    """

    def __init__(self) -> None:
        self._examples = 0
        self._of = Counter[str]()

    def example(self, **sorts: bool) -> None:
        """Take in an example, and of which sorts it is."""
        self._examples += 1
        self._of.update(name for name, is_so in sorts.items() if is_so)

    def at_least(self, **percent: float) -> None:
        """Assert that at least so many per cent of the examples were of each sort, and one in any case."""
        shares = {name: 100 * self._of[name] / max(1, self._examples) for name in percent}
        missed = {name: share for name, share in shares.items() if share < percent[name] or not self._of[name]}
        assert not missed, f"too few of {self._examples} examples: {missed} per cent where {percent} are needed"
