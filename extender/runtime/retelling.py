"""What was told of which object: again when the text changes, or when it lasts."""

from collections.abc import Callable

from extender.kube.occurrences import RETELL


class Retelling:
    """Remembers what was told.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, tuple[str, float]] = {}

    def is_due(self, about: str, text: str) -> bool:
        """Whether a text about something is news, or was told so long ago that it is told again."""
        told, at = self._told.get(about, ("", 0.0))
        return told != text or self._clock() - at >= RETELL

    def told(self, about: str, text: str) -> None:
        """It was told."""
        self._told[about] = text, self._clock()

    def keep(self, known: Callable[[str], bool]) -> None:
        """Forget what is not known any more."""
        self._told = {about: told for about, told in self._told.items() if known(about)}
