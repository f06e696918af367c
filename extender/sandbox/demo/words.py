"""Policies, splits and reasons in a few words."""

from collections.abc import Mapping

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy
from extender.core.policy.seats import Seats, TwoClassSeats

_LONGEST = 60
_OURS = "spotmix: "


def policy_words(policy: Policy) -> str:
    """What an owner asked for: `70 % spot, at least 2 on-demand`."""
    parts = _seat_words(policy.seats)
    cap = policy.max_per_pool
    if cap is not None:
        parts.append(f"at most {cap.amount}{' %' if cap.percent else ''} per spot pool")
    if policy.when_unsatisfiable == "wait":
        parts.append("waits for its class")
    elif policy.when_unsatisfiable == "any":
        parts.append("either class stands in")
    if policy.fallback_after and policy.when_unsatisfiable != "wait":
        parts.append(f"falls back after {policy.fallback_after:g} s")
    if policy.mode == "audit":
        parts.append("audit only")
    return ", ".join(parts)


def _seat_words(seats: Seats) -> list[str]:
    if not isinstance(seats, TwoClassSeats):
        return ["shared by " + ", ".join(seats.classes)]
    if seats.percentage == 0:
        return ["all on-demand"]
    share = "all spot" if seats.percentage == 100 else f"{seats.percentage} % spot"
    parts = [f"first {seats.base} on-demand, then {share}" if seats.base else share]
    if seats.floor:
        parts.append(f"at least {seats.floor} on-demand")
    if seats.cap is not None:
        parts.append(f"at most {seats.cap} on spot")
    return parts


def split_words(counts: Mapping[str, int]) -> str:
    """A split: `7 spot + 3 on-demand`, other classes behind."""
    others = sorted(name for name in counts if name not in (SPOT, ON_DEMAND) and counts[name])
    return " + ".join(f"{counts.get(name, 0)} {name}" for name in (SPOT, ON_DEMAND, *others))


def short_split(counts: Mapping[str, int]) -> str:
    """The same as numbers, spot first: `7 + 3`."""
    others = sorted(name for name in counts if name not in (SPOT, ON_DEMAND) and counts[name])
    return " + ".join(str(counts.get(name, 0)) for name in (SPOT, ON_DEMAND, *others))


def our_reason(message: str) -> Reason | None:
    """Our own reason in the scheduler's PodScheduled message, if it has one."""
    return next((each for each in Reason if each.text.startswith(_OURS) and each.text in message), None)


def waiting_words(message: str) -> str:
    """Why a pod waits, from the scheduler's PodScheduled message: our reason, else the scheduler's first one."""
    if not message:
        return "not tried yet"
    reason = our_reason(message)
    if reason is not None:
        return reason.text.removeprefix(_OURS)
    said = message.partition(": ")[2] or message
    first = said.partition(". ")[0].rstrip(".")
    return first if len(first) <= _LONGEST else first[: _LONGEST - 1].rstrip() + "…"


def count_words(count: int, one: str, many: str = "") -> str:
    """`1 pod`, `2 pods`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
