"""Tells owners of what has kept pods where they do not belong for a while, and again every half hour that it does."""

import math
from collections.abc import Container, Iterable

from msgspec import Struct

from extender.core.drift.blocked import LASTING, PASSING, most_telling, text_of
from extender.core.drift.moves import Move, Stay, WorkloadRef
from extender.core.model.reasons import Reason
from extender.kube.occurrences import RETELL
from extender.kube.regarding import Regarding


class Blocked(Struct, frozen=True, gc=False):
    """What to tell of a workload. Told with the same `same`, it is the same thing, whatever pod it is about."""

    workload: WorkloadRef
    pod: Regarding
    same: str
    text: str


class _Spell(Struct, eq=False, gc=False):
    """A workload none of whose pods has been moved since `since`; `told` is when which reasons were (both seconds)."""

    since: float
    told: dict[str, float]


class BlockedReports:
    """What to tell owners of pods that stay. Holds something of workloads that are off their split alone.

    Args:
        patience: how long a pod stays before it is told of; one whose reason passes by itself, `LASTING` times as long
            (seconds).
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._spells: dict[str, _Spell] = {}

    def go_by(self, patience: float) -> None:
        """Wait so long from now on; as of the class."""
        self._patience = patience

    def __len__(self) -> int:
        return len(self._spells)

    def planned(
        self, looked_at: Iterable[str], stays: Iterable[Stay], moving: Container[str], now: float
    ) -> list[Blocked]:
        """Workloads were looked at (UIDs): what there is to tell.

        Args:
            looked_at: UIDs of the workloads.
            stays: their surplus pods that stay.
            moving: UIDs of those that have pods to be moved.
            now: seconds since the epoch.
        """
        by_workload: dict[str, list[Stay]] = {}
        for stay in stays:
            by_workload.setdefault(stay.workload.uid, []).append(stay)
        found = []
        for uid in looked_at:
            staying = by_workload.get(uid, ())
            if not staying and uid not in moving:
                self._spells.pop(uid, None)
                continue
            # Of one that moves on nothing is told, unless the API server refuses it.
            told = self._tell(uid, most_telling(staying) if uid not in moving else None, now)
            if told is not None:
                found.append(told)
        return found

    def refused(self, move: Move, why: str, now: float) -> Blocked | None:
        """The API server refused a move: what there is to tell."""
        stay = Stay(move.pod, move.node, move.workload, move.source, move.destination, Reason.REFUSED, why)
        return self._tell(move.workload.uid, stay, now)

    def dropped(self, blocked: Blocked) -> None:
        """There was too much to tell: it is to be told at the next look."""
        spell = self._spells.get(blocked.workload.uid)
        if spell is not None:
            spell.told.pop(blocked.same, None)

    def moved(self, workload: str) -> None:
        """A pod of a workload (UID) is moved: what keeps others has not lasted yet."""
        self._spells.pop(workload, None)

    def keep(self, known: Container[str]) -> None:
        """Forget workloads that are not among `known` (UIDs)."""
        self._spells = {uid: spell for uid, spell in self._spells.items() if uid in known}

    def _tell(self, uid: str, stay: Stay | None, now: float) -> Blocked | None:
        spell = self._spells.setdefault(uid, _Spell(now, {}))
        if stay is None:
            return None
        patience = self._patience * (LASTING if stay.reason in PASSING else 1.0)
        same = str(stay.reason)
        if now - spell.since < patience or now - spell.told.get(same, -math.inf) < RETELL:
            return None
        spell.told[same] = now
        return Blocked(stay.workload, Regarding.pod(stay.pod), same, text_of(stay))
