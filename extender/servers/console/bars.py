"""How a split is drawn: wanted above actual, class by class, on one scale."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT

WIDTH = 100.0

_ORDER = {SPOT: 0, ON_DEMAND: 1}


class Stretch(Struct, frozen=True, gc=False):
    """A part of a bar: its class, where it starts and how wide it is, in hundredths of the whole."""

    capacity_class: str
    start: float
    width: float


class BarCount(Struct, frozen=True, gc=False):
    """Replicas of a class, actual and wanted."""

    capacity_class: str
    actual: int
    wanted: int


class Bar(Struct, frozen=True):
    """A split. `counts` say in numbers what the stretches show."""

    wanted: tuple[Stretch, ...]
    actual: tuple[Stretch, ...]
    counts: tuple[BarCount, ...]


def bar_of(wanted: Mapping[str, int], actual: Mapping[str, int]) -> Bar:
    """Lay out a split: the larger of the two sums is as wide as the bar."""
    names = sorted({*wanted, *actual}, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
    scale = WIDTH / max(sum(wanted.values()), sum(actual.values()), 1)
    counts = tuple(BarCount(name, actual.get(name, 0), wanted.get(name, 0)) for name in names)
    return Bar(_stretches(names, wanted, scale), _stretches(names, actual, scale), counts)


def _stretches(names: list[str], replicas: Mapping[str, int], scale: float) -> tuple[Stretch, ...]:
    stretches, start = [], 0.0
    for name in names:
        width = replicas.get(name, 0) * scale
        if width:
            stretches.append(Stretch(name, round(start, 2), round(width, 2)))
            start += width
    return tuple(stretches)


def share(replicas: Mapping[str, int]) -> float | None:
    """The percentage on spot; None of nothing."""
    total = sum(replicas.values())
    return 100.0 * replicas.get(SPOT, 0) / total if total else None
