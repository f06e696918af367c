"""What an owner asks for: annotations in layers (workload, Namespace, configured default) to a `Policy`.

A key is taken from the most specific layer that has it. Every key is checked even after one has failed, so that a
report is complete. An invalid policy never leaves a pod unsteered: see `ParsedPolicy.policy`.
"""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeVar, get_args

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import EMPTY
from extender.core.policy.keys import KEYS, OTHER_KEYS, WHEN_WRONG
from extender.core.policy.schedule import schedule_fault
from extender.core.policy.seats import Seats, TwoClassSeats
from extender.core.policy.split import Split, check_known, parse_class_names, parse_split, refined
from extender.core.policy.values import (
    BadValueError,
    PoolCap,
    one_of,
    parse_duration,
    parse_percentage,
    parse_pool_cap,
    parse_replicas,
    parse_scheduler_name,
)

Unsatisfiable = Literal["fallback", "any", "wait"]
Mode = Literal["enforce", "audit"]
MODES: tuple[Mode, ...] = get_args(Mode)
Enforcement = Literal["auto", "affinity", "extender"]
"""Where a class is enforced: by the extender, or by what is written on the pod before any scheduler sees it; `auto` as
the cluster needs it."""

_ENFORCEMENTS: Mapping[str, Enforcement] = {each: each for each in get_args(Enforcement)}

WRITTEN_AFTER = 180.0
"""How long a pod with its class on it waits for a node where nobody says for how long, nor an autoscaler anything
(seconds)."""

ENABLED = "enabled"
REFINING = ("min-on-demand", "on-demand-base", "max-spot")
"""Keys that say something of one class: above `classes`, in a more specific place, they change that class alone."""

UNKNOWN_TOLD = 5
"""Unknown keys of one place that are told of; where there are more, that there are."""
_LONGEST_KEY = 63


class Membership(Struct, frozen=True, gc=False):
    """That the replicas of a workload are counted with those of others.

    `policy` is the UID of the policy object that says so, `title` its name for people. `floor` is how many on-demand
    replicas the workload is to have at least, whatever the others have.
    """

    policy: str
    title: str
    floor: int = 0


class Policy(Struct, frozen=True, gc=False):
    """What a workload's owner asks for. Durations are in seconds.

    `seats` are the workload's own; where it is of a `fleet` they are the fleet's. `max_per_pool` is of spot,
    `pool_caps` are those of other classes, by class.

    With `fallback` those of `fallback_to` stand in for other classes. `fallback_after` counts where the extender keeps
    the class, `written_after` where it is written on pods.

    `scheduler_name` is the scheduler its pods shall get; None says nothing, an empty text asks for the default one.
    """

    seats: Seats = TwoClassSeats()
    when_unsatisfiable: Unsatisfiable = "fallback"
    fallback_after: float = 0.0
    max_per_pool: PoolCap | None = None
    disruption_schedule: str = ""
    disruption_duration: float = 0.0
    timezone: str = "UTC"
    max_moves_per_hour: int = 6
    mode: Mode = "enforce"
    scheduler_name: str | None = None
    enforcement: Enforcement = "auto"
    written_after: float = WRITTEN_AFTER
    fallback_to: tuple[str, ...] = (ON_DEMAND,)
    pool_caps: tuple[tuple[str, PoolCap], ...] = ()
    fleet: Membership | None = None

    def pool_cap(self, capacity_class: str) -> PoolCap | None:
        """The most replicas of a class in one pool; None for no limit."""
        if capacity_class == SPOT:
            return self.max_per_pool
        return next((cap for name, cap in self.pool_caps if name == capacity_class), None) if self.pool_caps else None

    @property
    def capped_classes(self) -> tuple[str, ...]:
        """The classes of which one pool may hold only so many replicas."""
        return (*([SPOT] if self.max_per_pool is not None else []), *(name for name, _ in self.pool_caps))

    def pool_limits(self, replicas: int) -> dict[str, int]:
        """The most replicas in one pool at a size, by class; of classes without a limit there is none."""
        caps = ((name, self.pool_cap(name)) for name in self.capped_classes)
        return {name: cap.limit(max(1, replicas)) for name, cap in caps if cap is not None}


class Layer(Struct, frozen=True, gc=False):
    """One place a policy is written in. `source` names it for people: `Deployment shop/web`.

    `fields` are what the keys of an object are called there, where they are no annotations of it. `fleet` is the UID of
    a policy object whose workloads are counted together, else empty.
    """

    source: str
    annotations: Mapping[str, str]
    fields: Mapping[str, str] = EMPTY
    fleet: str = ""


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

    `policy` is what to go by: as written, with what `WHEN_WRONG` says in place of each key that is wrong. Where
    the split is not known for that (`splits` is false), it is everything on-demand in the mode and by the scheduler
    asked for.
    """

    policy: Policy
    problems: tuple[Problem, ...] = ()
    splits: bool = True

    @property
    def valid(self) -> bool:
        """Whether no key was wrong (warnings do not count)."""
        return not self.problems or all(problem.warning for problem in self.problems)

    def also(self, problem: Problem) -> "ParsedPolicy":
        """The same with a further problem."""
        return ParsedPolicy(self.policy, (*self.problems, problem), self.splits)


T = TypeVar("T")


def parse_enabled(value: str) -> bool | None:
    """The opt-in label: true or false in any case; None when it is neither."""
    return {"true": True, "false": False}.get(value.strip().lower())


def find_key(layers: Iterable[Layer], prefixes: Sequence[str], key: str) -> tuple[Layer, str, str] | None:
    """The most specific layer that has `key` under one of `prefixes`, what the key is called there, and its value."""
    for layer in layers:
        if layer.annotations:
            for prefix in prefixes:
                full = f"{prefix}/{key}"
                if full in layer.annotations:
                    return layer, layer.fields.get(full, full), layer.annotations[full]
    return None


OF_SPLIT = ("classes", "spot-percentage", "max-spot", "on-demand-base")
"""Keys that say a split. A floor is none of them: each workload may have one of its own within a split of many."""


class _Reader:
    """Finds keys in layers and collects problems."""

    def __init__(self, layers: Sequence[Layer], prefixes: Sequence[str]) -> None:
        self.layers = layers
        self.prefixes = prefixes
        self.problems: list[Problem] = []
        self.wrong: set[str] = set()

    def fleet(self) -> Layer | None:
        """The policy object whose workloads are counted together, if the split is the one that it says.

        Whatever says anything of a split at a more specific level has the workload counted alone.
        """
        said = [found[0] for key in OF_SPLIT if (found := self.find(key)) is not None]
        layer = min(said, key=self.layers.index, default=None)
        return layer if layer is not None and layer.fleet else None

    def within(self, layer: Layer) -> "_Reader":
        """A reader of one layer alone, whose problems are told of here."""
        reader = _Reader([layer], self.prefixes)
        reader.problems, reader.wrong = self.problems, self.wrong
        return reader

    def membership(self, fleet: Layer) -> Membership:
        """What a fleet means for the workload; a floor that the fleet's own policy does not say is the workload's."""
        found = self.find("min-on-demand")
        own = found is not None and found[0] is not fleet
        return Membership(fleet.fleet, fleet.source, self.read("min-on-demand", parse_replicas, 0) if own else 0)

    def find(self, key: str) -> tuple[Layer, str, str] | None:
        return find_key(self.layers, self.prefixes, key)

    def read(self, key: str, parse: Callable[[str], T], default: T, *, warning: bool = False) -> T:
        found = self.find(key)
        if found is None:
            return default
        layer, full, value = found
        try:
            return parse(value)
        except BadValueError as error:
            fault, fix = error.args
            self.problems.append(Problem(layer.source, full, value, fault, fix, warning))
            self.wrong.add(key)
            return default

    def fallback_to(self, known: Collection[str] | None) -> tuple[str, ...]:
        """The classes that stand in; `known` as of `parse_policy`."""

        def parse(text: str) -> tuple[str, ...]:
            names = parse_class_names(text)
            if known is not None:
                check_known(names, known)
            return names

        return self.read("fallback-to", parse, (ON_DEMAND,))

    def split(self, known: Collection[str] | None) -> Split | None:
        """What `classes` says, where it counts: not beside a `spot-percentage` of a more specific place."""
        classes, percentage = self.find("classes"), self.find("spot-percentage")
        if classes is None or self._beats(percentage, classes):
            return None
        for key in ("spot-percentage", *REFINING):
            found = self.find(key)
            if found is not None and found[0] is classes[0]:
                self.drop("classes", classes, f"and {found[1]} exclude each other", "keep one of the two")
                return None

        def parse(text: str) -> Split:
            split = parse_split(text)
            if known is not None:
                check_known([share.capacity_class for share in split.shares], known)
            return split

        return self.read("classes", parse, None)

    def seats(self, known: Collection[str] | None) -> tuple[Seats, tuple[tuple[str, PoolCap], ...]]:
        """The split, and what one pool may hold of classes other than spot; whatever is wrong with it is told."""
        split = self.split(known)
        if split is None:
            percentage = self.read("spot-percentage", parse_percentage, 0)
            most = self.read("max-spot", parse_replicas, None)
            floor, base = self.floor_and_base()
            return TwoClassSeats(percentage, floor or 0, most, base or 0), ()
        classes = self.find("classes")
        most = self.read("max-spot", parse_replicas, None) if self._beats(self.find("max-spot"), classes) else None
        above = any(self._beats(self.find(key), classes) for key in ("min-on-demand", "on-demand-base"))
        floor, base = self.floor_and_base() if above else (None, None)
        return refined(split, floor, base, most), split.pool_caps

    def _beats(self, one: tuple[Layer, str, str] | None, other: tuple[Layer, str, str] | None) -> bool:
        """Whether a key is from a more specific place than another that was found."""
        if one is None or other is None:
            return False
        return self.layers.index(one[0]) < self.layers.index(other[0])

    def drop(self, key: str, found: tuple[Layer, str, str], fault: str, fix: str) -> None:
        layer, full, value = found
        self.problems.append(Problem(layer.source, full, value, fault, fix))
        self.wrong.add(key)

    @property
    def splits(self) -> bool:
        """Whether all that the split is made of is right."""
        return not any(WHEN_WRONG[key].splits for key in self.wrong)

    def floor_and_base(self) -> tuple[int | None, int | None]:
        """`min-on-demand` and `on-demand-base` exclude each other; a more specific layer's one overrides the other."""
        floor, base = self.find("min-on-demand"), self.find("on-demand-base")
        if floor and base:
            if floor[0] is base[0]:
                self.drop("on-demand-base", base, f"and {floor[1]} exclude each other", "keep one of the two")
                return None, None
            if self._beats(floor, base):
                base = None
            else:
                floor = None
        return (
            self.read("min-on-demand", parse_replicas, None) if floor else None,
            self.read("on-demand-base", parse_replicas, None) if base else None,
        )

    def window(self) -> tuple[str, float, str]:
        schedule, duration = self.find("disruption-schedule"), self.find("disruption-duration")
        zone = self.find("timezone")
        seconds = self.read("disruption-duration", parse_duration, 0.0)
        if schedule and not duration:
            self.drop("disruption-schedule", schedule, "has no duration", 'add disruption-duration, such as "2h"')
        if duration and not schedule:
            self.drop(
                "disruption-duration", duration, "has no schedule", 'add disruption-schedule, such as "0 2 * * *"'
            )
        cron, name = (schedule[2].strip() if schedule else ""), (zone[2].strip() if zone else "UTC")
        fault = schedule_fault(cron if schedule else "* * * * *", name)
        if fault and zone and "time zone" in fault:
            self.drop("timezone", zone, fault, 'write an IANA name, such as "Europe/Berlin"')
        elif fault and schedule:
            self.drop("disruption-schedule", schedule, fault, 'write five cron fields, such as "0 2 * * 1-5"')
        if self.wrong & {"disruption-schedule", "disruption-duration", "timezone"}:
            # Nothing can be reckoned with it; nothing is moved while a key is wrong.
            return "", 0.0, "UTC"
        return cron, seconds, name

    def unknown_keys(self) -> None:
        for layer in self.layers:
            unknown = self._unknown(layer)
            self.problems += unknown[:UNKNOWN_TOLD]
            if len(unknown) > UNKNOWN_TOLD:
                last = unknown[-1]
                fault = "is not a key, nor are others there"
                self.problems.append(Problem(layer.source, last.key, last.value, fault, _KNOWN, warning=True))

    def _unknown(self, layer: Layer) -> list[Problem]:
        """What is no key of ours, and a few of those at most: there may be ten thousand."""
        own = self.prefixes[0] + "/"
        found: list[Problem] = []
        for full, value in layer.annotations.items():
            key = full.removeprefix(own)
            if full == own + ENABLED:
                fault, fix = "is an annotation", "write it as a label"
            elif full.startswith(own) and key not in KEYS and key not in OTHER_KEYS:
                near = _nearest(key)
                fault, fix = "is not a key", f"did you mean {own}{near}?" if near else _KNOWN
            else:
                continue
            found.append(Problem(layer.source, full, value, fault, fix, warning=True))
            if len(found) > UNKNOWN_TOLD:
                break
        return found


@lru_cache(maxsize=1024)
def _nearest(key: str) -> str:
    """The key that was meant, or an empty text. It takes long to find, and many workloads may share a Namespace's."""
    return next(iter(difflib.get_close_matches(key, KEYS, 1)), "") if len(key) <= _LONGEST_KEY else ""


_KNOWN = "known keys are " + ", ".join(KEYS)


def parse_policy(
    layers: Sequence[Layer], prefixes: Sequence[str], classes: Collection[str] | None = None
) -> ParsedPolicy:
    """Parse the policy of a workload.

    Args:
        layers: most specific first: the workload, its Namespace, the configured default.
        prefixes: key prefixes without the slash; within a layer the first that has a key wins. Only under the first
            are unknown keys reported.
        classes: those that nodes can be of; None takes any.
    """
    reader = _Reader(layers, prefixes)
    fleet = reader.fleet()
    split = reader.within(fleet) if fleet is not None else reader
    seats, pool_caps = split.seats(classes)
    membership = reader.membership(fleet) if fleet is not None else None
    unsatisfiable = reader.read("when-unsatisfiable", one_of("fallback", "any", "wait"), "fallback")
    fallback_to = reader.fallback_to(classes)
    after = reader.read("fallback-after", parse_duration, None)
    pool_cap = reader.read("max-per-pool", parse_pool_cap, None)
    schedule, duration, zone = reader.window()
    moves = reader.read("max-moves-per-hour", parse_replicas, 6)
    mode = reader.read("mode", one_of("enforce", "audit"), "enforce")
    # Nothing else is wrong with a policy whose pods keep the scheduler they have.
    scheduler = reader.read("scheduler-name", parse_scheduler_name, None, warning=True)
    enforcement: Enforcement = _ENFORCEMENTS[reader.read("enforcement", one_of(*_ENFORCEMENTS), "auto")]
    reader.unknown_keys()
    if not reader.splits:
        held = on_demand(mode, scheduler, enforcement)
        return ParsedPolicy(held, tuple(reader.problems), splits=False)
    policy = Policy(
        seats=seats,
        when_unsatisfiable=unsatisfiable,  # type: ignore[arg-type]  # one_of allows these three only
        fallback_after=after or 0.0,
        max_per_pool=pool_cap,
        disruption_schedule=schedule,
        disruption_duration=duration,
        timezone=zone,
        max_moves_per_hour=0 if "max-moves-per-hour" in reader.wrong else moves,
        mode="audit" if mode == "audit" else "enforce",
        scheduler_name=scheduler,
        enforcement=enforcement,
        written_after=WRITTEN_AFTER if after is None else after,
        fallback_to=fallback_to,
        pool_caps=pool_caps,
        fleet=membership,
    )
    return ParsedPolicy(policy, tuple(reader.problems))


def on_demand(mode: str, scheduler_name: str | None, enforcement: Enforcement) -> Policy:
    """Everything on-demand, in a mode, by a scheduler, and enforced as it would be otherwise."""
    return Policy(
        mode="audit" if mode == "audit" else "enforce", scheduler_name=scheduler_name, enforcement=enforcement
    )
