"""Whether a workload can have a spot replica at its size at all, when its owner asks for a share of them."""

from extender.core.classes import SPOT
from extender.core.policy import Policy


def shortfall(policy: Policy, replicas: int) -> str:
    """Why a policy that asks for spot gives no spot replica at this size; empty when it does, or asks for none.

    The text is the same at every such size: it says from which on there is one.
    """
    seats = policy.seats
    if not seats.percentage or not replicas or seats.spot(replicas):
        return ""
    first = seats.seat_of(SPOT, 1)
    if first is None:
        return "max-spot leaves no spot replica at any size, whatever spot-percentage says"
    taken = [
        f"{key}={count}" for key, count in (("min-on-demand", seats.floor), ("on-demand-base", seats.base)) if count
    ]
    keys = " with ".join([f"spot-percentage={seats.percentage}", *taken])
    return f"{keys} gives no spot replica below {first} replicas: until then all are on-demand"
