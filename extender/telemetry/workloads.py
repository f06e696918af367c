"""Series of each workload, and the sums over all of them.

Series are written straight as text: 10,000 workloads have 80,000, and objects for all of them would hold up the
scheduler's requests for as long as it takes to make them.

Which workloads have series when there are more than may be: the oldest. A new workload then never takes the series of
another away, and every replica, restarted or not, shows the same ones. (The worst ones would be others at each scrape,
and what Prometheus kept of each would be in pieces.)
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct, field

from extender.core.answers.replicas import Name, Replicas, Standing
from extender.core.policy.policy import MODES, Mode
from extender.core.state.fleets import Fleet
from extender.telemetry.catalogue import (
    INVALID,
    OFF_TARGET,
    POLICY_INVALID,
    REPLICAS_ACTUAL,
    REPLICAS_BELOW_FLOOR,
    REPLICAS_MISSING,
    REPLICAS_SURPLUS,
    REPLICAS_WANTED,
    UNLISTED,
    WORKLOAD_ACTUAL,
    WORKLOAD_BELOW_FLOOR,
    WORKLOAD_INFO,
    WORKLOAD_MISSING,
    WORKLOAD_SURPLUS,
    WORKLOAD_WANTED,
    WORKLOADS,
    WORKLOADS_BELOW_FLOOR,
    Family,
)
from extender.telemetry.readings import Reading

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
PIECE = 256 * 1024
"""Bytes: blocks of memory that are smaller are not given back to the kernel once the text is sent."""
WRITTEN = (WORKLOAD_INFO, WORKLOAD_WANTED, WORKLOAD_ACTUAL, WORKLOAD_SURPLUS, WORKLOAD_MISSING, WORKLOAD_BELOW_FLOOR)


class Sum(Struct):
    """Of the workloads of one mode."""

    workloads: int = 0
    off_target: int = 0
    below_floor: int = 0
    replicas: Replicas = field(default_factory=Replicas)
    fleets: dict[int, tuple[Fleet, Replicas]] = field(default_factory=dict)

    def settle(self) -> None:
        """What is wanted of workloads that are counted together, and is too many, is told of all of them."""
        while self.fleets:
            _, (fleet, counted) = self.fleets.popitem()
            self.replicas.surplus += fleet.surplus
            for name, count in fleet.target.items():
                wanted = self.replicas.wanted
                wanted[name] = wanted.get(name, 0) + count - counted.wanted.get(name, 0)


class WorkloadSums:
    """Of all workloads.

    Attributes:
        invalid: workloads with a policy that is wrong.
        unlisted: workloads without series of their own.
    """

    def __init__(self) -> None:
        self.invalid = self.unlisted = 0
        self._by_mode: dict[Mode, Sum] = {mode: Sum() for mode in MODES}

    def add(self, standing: Standing) -> None:
        """Count a workload in."""
        mine = self._by_mode[standing.workload.policy.mode]
        mine.workloads += 1
        mine.off_target += standing.is_off
        mine.below_floor += standing.replicas.below_floor > 0
        mine.replicas.add(standing.replicas)
        if standing.fleet is not None:
            mine.fleets.setdefault(id(standing.fleet), (standing.fleet, Replicas()))[1].add(standing.replicas)

    def readings(self) -> Iterator[Reading]:
        """As metrics."""
        found = self._by_mode.items()
        for mine in self._by_mode.values():
            mine.settle()
        yield Reading(WORKLOADS, {(mode,): mine.workloads for mode, mine in found})
        yield Reading(OFF_TARGET, {(mode,): mine.off_target for mode, mine in found})
        yield Reading(WORKLOADS_BELOW_FLOOR, {(mode,): mine.below_floor for mode, mine in found})
        yield Reading(INVALID, {(): self.invalid})
        yield Reading(UNLISTED, {(): self.unlisted})
        yield Reading(REPLICAS_WANTED, {(m, c): n for m, mine in found for c, n in mine.replicas.wanted.items()})
        yield Reading(REPLICAS_ACTUAL, {(m, c): n for m, mine in found for c, n in mine.replicas.actual.items()})
        yield Reading(REPLICAS_SURPLUS, {(mode,): mine.replicas.surplus for mode, mine in found})
        yield Reading(REPLICAS_MISSING, {(mode,): mine.replicas.missing for mode, mine in found})
        yield Reading(REPLICAS_BELOW_FLOOR, {(mode,): mine.replicas.below_floor for mode, mine in found})


def oldest_first(names: Collection[Name], limit: int) -> Sequence[Name]:
    """The names of all, those that have series before the others."""
    return list(names) if len(names) <= limit else sorted(names)


class WorkloadText:
    """The exposition of workloads' series: `write` some workloads, `flush`, and so on; then take the `parts`."""

    def __init__(self) -> None:
        self._lines: dict[Family, list[str]] = {family: _head(family) for family in WRITTEN}
        self._pieces: dict[Family, list[bytes]] = {family: [] for family in WRITTEN}
        self._buffers = {family: bytearray() for family in WRITTEN}

    def write(self, standing: Standing) -> None:
        """Add a workload's series."""
        policy, replicas, lines = standing.workload.policy, standing.replicas, self._lines
        where = _labels(standing.name)
        lines[WORKLOAD_INFO].append(
            f'{WORKLOAD_INFO.name}{{mode="{policy.mode}",when_unsatisfiable="{policy.when_unsatisfiable}",{where}}} 1'
        )
        for family, counts in ((WORKLOAD_WANTED, replicas.wanted), (WORKLOAD_ACTUAL, replicas.actual)):
            for capacity_class, count in counts.items():
                lines[family].append(f'{family.name}{{capacity_class="{_text(capacity_class)}",{where}}} {count}')
        for family, count in (
            (WORKLOAD_SURPLUS, replicas.surplus),
            (WORKLOAD_MISSING, replicas.missing),
            (WORKLOAD_BELOW_FLOOR, replicas.below_floor),
        ):
            lines[family].append(f"{family.name}{{{where}}} {count}")

    def flush(self) -> None:
        """Make bytes of what was written since the last call: of all at once it would take long."""
        for family, lines in self._lines.items():
            buffer = self._buffers[family]
            buffer += _joined(lines)
            lines.clear()
            if len(buffer) >= PIECE:
                self._pieces[family].append(bytes(buffer))
                buffer.clear()

    def parts(self) -> Iterator[bytes]:
        """What was flushed, in pieces; a metric's series are one after the other."""
        for family, pieces in self._pieces.items():
            yield from pieces
            yield bytes(self._buffers[family])


def invalid_series(wrong: Iterable[tuple[Name, str]], limit: int) -> bytes:
    """A series for each wrong key of the oldest `limit` workloads that have some."""
    keys: dict[Name, set[str]] = {}
    for name, key in wrong:
        keys.setdefault(name, set()).add(key)
    lines = _head(POLICY_INVALID)
    for name in sorted(keys)[:limit]:
        lines += (f'{POLICY_INVALID.name}{{key="{_text(key)}",{_labels(name)}}} 1' for key in sorted(keys[name]))
    return _joined(lines)


def _labels(name: Name) -> str:
    return f'kind="{_text(name.kind)}",namespace="{_text(name.namespace)}",workload="{_text(name.name)}"'


def _text(value: str) -> str:
    return value.translate(_ESCAPED)


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _head(family: Family) -> list[str]:
    return [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}"]
