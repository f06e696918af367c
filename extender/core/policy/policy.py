"""What an owner asks for: annotations in layers (workload, Namespace, configured default) to a `Policy`.

A key is taken from the most specific layer that has it. Every key is checked even after one has failed, so that a
report is complete. An invalid policy never leaves a pod unsteered: see `ParsedPolicy.policy`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from msgspec import Struct

from extender.core.policy.schedule import schedule_fault
from extender.core.policy.seats import TwoClassSeats

Unsatisfiable = Literal["fallback", "any", "wait"]
Mode = Literal["enforce", "audit"]

ENABLED = "enabled"
KEYS = (
    "spot-percentage",
    "min-on-demand",
    "max-spot",
    "on-demand-base",
    "when-unsatisfiable",
    "fallback-after",
    "max-per-pool",
    "disruption-schedule",
    "disruption-duration",
    "timezone",
    "max-moves-per-hour",
    "mode",
    "scheduler-name",
)
# Keys under our prefix that say something else than the policy, or that we write ourselves.
OTHER_KEYS = ("enabled", "do-not-disrupt", "inject-extender", "capacity-class", "wake")
MAX_REPLICAS = 10_000


class PoolCap(Struct, frozen=True, gc=False):
    """Most replicas of a workload in one spot pool: a count, or a percentage of T rounded down, at least 1."""

    amount: int
    percent: bool = False

    def limit(self, replicas: int) -> int:
        """The cap at `replicas` replicas."""
        return max(1, replicas * self.amount // 100) if self.percent else self.amount


class Policy(Struct, frozen=True, gc=False):
    """What a workload's owner asks for. Durations are in seconds.

    `scheduler_name` is the scheduler its pods shall get; None says nothing, an empty text asks for the default one.
    """

    seats: TwoClassSeats = TwoClassSeats()
    when_unsatisfiable: Unsatisfiable = "fallback"
    fallback_after: float = 0.0
    max_per_pool: PoolCap | None = None
    disruption_schedule: str = ""
    disruption_duration: float = 0.0
    timezone: str = "UTC"
    max_moves_per_hour: int = 6
    mode: Mode = "enforce"
    scheduler_name: str | None = None


class Layer(Struct, frozen=True, gc=False):
    """One place a policy is written in. `source` names it for people: `Deployment shop/web`."""

    source: str
    annotations: Mapping[str, str]


class Problem(Struct, frozen=True, gc=False):
    """What is wrong with one key. A `warning` is reported but does not make the policy invalid."""

    source: str
    key: str
    value: str
    fault: str
    fix: str
    warning: bool = False

    @property
    def text(self) -> str:
        """One line that names object, key, value seen and the fix."""
        return f"{self.source}: {self.key}={self.value!r} {self.fault}; {self.fix}"


class ParsedPolicy(Struct, frozen=True):
    """The outcome of parsing.

    `policy` is what to go by: as written when `valid`, else everything on-demand in the mode and by the scheduler that
    were asked for.
    """

    policy: Policy
    problems: tuple[Problem, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether no key was wrong (warnings do not count)."""
        return all(problem.warning for problem in self.problems)


T = TypeVar("T")
# At most nine digits each: a longer number is a slip, and would overflow a timer.
_DURATION = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?")


_SCHEDULER_NAME = re.compile(r"([A-Za-z0-9]([-_./A-Za-z0-9]{0,251}[A-Za-z0-9])?)?")


class _BadValueError(ValueError):
    """A value is wrong: `args` are the fault and the fix."""


def parse_duration(text: str) -> float:
    """Seconds in a Go-like duration of hours, minutes and seconds: `30s`, `5m`, `1h30m`, `0`.

    Raises:
        ValueError: the text is no such duration.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise _BadValueError("is not a duration", 'write hours, minutes and seconds, such as "30s", "5m" or "1h30m"')
    hours, minutes, seconds = match.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _whole(text: str, high: int, what: str, example: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()) or int(stripped[:9]) > high or len(stripped) > 9:
        raise _BadValueError(f"is not {what}", f'write a whole number from 0 to {high}, such as "{example}"')
    return int(stripped)


def _percentage(text: str) -> int:
    return _whole(text.strip().removesuffix("%"), 100, "a percentage", "70")


def _replicas(text: str) -> int:
    return _whole(text, MAX_REPLICAS, "a number of replicas", "2")


def _pool_cap(text: str) -> PoolCap:
    if text.strip().endswith("%"):
        cap = PoolCap(_whole(text.strip().removesuffix("%"), 100, "a percentage", "25"), percent=True)
    else:
        cap = PoolCap(_replicas(text))
    if cap.amount == 0:
        raise _BadValueError(
            "leaves no room in any pool", 'write at least 1 or "1%", or "max-spot: 0" for no spot at all'
        )
    return cap


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        value = text.strip().lower()
        if value not in allowed:
            raise _BadValueError("is not known", "write one of " + ", ".join(f'"{a}"' for a in allowed))
        return value

    return parse


def _scheduler_name(text: str) -> str:
    name = text.strip()
    if not _SCHEDULER_NAME.fullmatch(name):
        raise _BadValueError("is no scheduler's name and is ignored", 'write it as a profile has it, such as "spotmix"')
    return name


def parse_enabled(value: str) -> bool | None:
    """The opt-in label: true or false in any case; None when it is neither."""
    return {"true": True, "false": False}.get(value.strip().lower())


def find_key(layers: Iterable[Layer], prefixes: Sequence[str], key: str) -> tuple[Layer, str, str] | None:
    """The most specific layer that has `key` under one of `prefixes`, the full key, and its value."""
    for layer in layers:
        if layer.annotations:
            for prefix in prefixes:
                full = f"{prefix}/{key}"
                if full in layer.annotations:
                    return layer, full, layer.annotations[full]
    return None


class _Reader:
    """Finds keys in layers and collects problems."""

    def __init__(self, layers: Sequence[Layer], prefixes: Sequence[str]) -> None:
        self.layers = layers
        self.prefixes = prefixes
        self.problems: list[Problem] = []

    def find(self, key: str) -> tuple[Layer, str, str] | None:
        return find_key(self.layers, self.prefixes, key)

    def read(self, key: str, parse: Callable[[str], T], default: T, *, warning: bool = False) -> T:
        found = self.find(key)
        if found is None:
            return default
        layer, full, value = found
        try:
            return parse(value)
        except _BadValueError as error:
            fault, fix = error.args
            self.problems.append(Problem(layer.source, full, value, fault, fix, warning))
            return default

    def drop(self, found: tuple[Layer, str, str], fault: str, fix: str) -> None:
        layer, full, value = found
        self.problems.append(Problem(layer.source, full, value, fault, fix))

    def floor_and_base(self) -> tuple[int, int]:
        """`min-on-demand` and `on-demand-base` exclude each other; a more specific layer's one overrides the other."""
        floor, base = self.find("min-on-demand"), self.find("on-demand-base")
        if floor and base:
            if floor[0] is base[0]:
                self.drop(base, f"and {floor[1]} exclude each other", "keep one of the two")
                return 0, 0
            if self.layers.index(floor[0]) < self.layers.index(base[0]):
                base = None
            else:
                floor = None
        return (
            self.read("min-on-demand", _replicas, 0) if floor else 0,
            self.read("on-demand-base", _replicas, 0) if base else 0,
        )

    def window(self) -> tuple[str, float, str]:
        schedule, duration = self.find("disruption-schedule"), self.find("disruption-duration")
        zone = self.find("timezone")
        seconds = self.read("disruption-duration", parse_duration, 0.0)
        if schedule and not duration:
            self.drop(schedule, "has no duration", 'add disruption-duration, such as "2h"')
        if duration and not schedule:
            self.drop(
                duration,
                "has no schedule",
                'add disruption-schedule, such as "0 2 * * *"',
            )
        cron, name = (schedule[2].strip() if schedule else ""), (zone[2].strip() if zone else "UTC")
        if schedule or zone:
            fault = schedule_fault(cron if schedule else "* * * * *", name)
            if fault:
                culprit = zone if zone and "time zone" in fault else schedule or zone
                if culprit:
                    fix = (
                        'write an IANA name, such as "Europe/Berlin"'
                        if culprit is zone
                        else 'write five cron fields, such as "0 2 * * 1-5"'
                    )
                    self.drop(culprit, fault, fix)
        return cron, seconds, name

    def unknown_keys(self) -> None:
        own = self.prefixes[0] + "/"
        known = (*KEYS, *OTHER_KEYS)
        for layer in self.layers:
            for full, value in layer.annotations.items():
                key = full.removeprefix(own)
                if full.startswith(own) and key not in known:
                    near = difflib.get_close_matches(key, KEYS, 1)
                    fix = f"did you mean {own}{near[0]}?" if near else "known keys are " + ", ".join(KEYS)
                    self.problems.append(Problem(layer.source, full, value, "is not a key", fix, warning=True))
                elif full == own + ENABLED:
                    self.problems.append(
                        Problem(layer.source, full, value, "is an annotation", "write it as a label", warning=True)
                    )


def parse_policy(layers: Sequence[Layer], prefixes: Sequence[str]) -> ParsedPolicy:
    """Parse the policy of a workload.

    Args:
        layers: most specific first: the workload, its Namespace, the configured default.
        prefixes: key prefixes without the slash; within a layer the first that has a key wins. Only under the first
            are unknown keys reported.
    """
    reader = _Reader(layers, prefixes)
    percentage = reader.read("spot-percentage", _percentage, 0)
    cap = reader.read("max-spot", _replicas, -1)
    floor, base = reader.floor_and_base()
    unsatisfiable = reader.read("when-unsatisfiable", _one_of("fallback", "any", "wait"), "fallback")
    after = reader.read("fallback-after", parse_duration, 0.0)
    pool_cap = reader.read("max-per-pool", _pool_cap, None)
    schedule, duration, zone = reader.window()
    moves = reader.read("max-moves-per-hour", _replicas, 6)
    mode = reader.read("mode", _one_of("enforce", "audit"), "enforce")
    # Nothing else is wrong with a policy whose pods keep the scheduler they have.
    scheduler = reader.read("scheduler-name", _scheduler_name, None, warning=True)
    reader.unknown_keys()
    problems = tuple(reader.problems)
    if any(not p.warning for p in problems):
        return ParsedPolicy(Policy(mode="audit" if mode == "audit" else "enforce", scheduler_name=scheduler), problems)
    return ParsedPolicy(
        Policy(
            seats=TwoClassSeats(percentage, floor, None if cap < 0 else cap, base),
            when_unsatisfiable=unsatisfiable,  # type: ignore[arg-type]  # _one_of allows these three only
            fallback_after=after,
            max_per_pool=pool_cap,
            disruption_schedule=schedule,
            disruption_duration=duration,
            timezone=zone,
            max_moves_per_hour=moves,
            mode="audit" if mode == "audit" else "enforce",
            scheduler_name=scheduler,
        ),
        problems,
    )
