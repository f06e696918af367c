"""Decisions that say the same of a pod again and again, as one: a pod that waits is decided on many times."""

from collections.abc import Iterable

from msgspec import Struct

from extender.core.answers.decisions import Entry


class Repetition(Struct):
    """The newest of `times` decisions in a row that say the same of a pod, and when the first was made (seconds)."""

    newest: Entry
    times: int
    first: float


def runs_of(entries: Iterable[Entry], most: int) -> list[Repetition]:
    """The runs of decisions that come newest first; at most so many. Decisions on other pods do not end a run."""
    found: list[Repetition] = []
    of_pod: dict[str, Repetition] = {}
    for entry in entries:
        run = of_pod.get(entry.pod_uid)
        if run is not None and _said(run.newest) == _said(entry):
            run.times += 1
            run.first = entry.at
            continue
        if len(found) == most:
            break
        run = of_pod[entry.pod_uid] = Repetition(entry, 1, entry.at)
        found.append(run)
    return found


def _said(entry: Entry) -> tuple[object, ...]:
    return entry.verb, entry.wanted, entry.given, entry.reason
