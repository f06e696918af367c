"""Why: the closed list of reasons that feeds failed nodes, metrics, Events, logs and the command line.

Texts are constant: the scheduler requeues a pod whose PodScheduled message changes, so a count, a time or a name in
here would make every attempt trigger the next.
"""

from enum import Enum
from typing import Self


class Reason(Enum):
    """`value` is the label used by metrics and logs; `text` is for people and for the scheduler's failed nodes."""

    text: str

    def __new__(cls, value: str, text: str) -> Self:
        """Attach the text to the member."""
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        return member

    # Passed by filter
    UNMANAGED = "unmanaged", "not managed by spotmix"
    SEAT = "seat", "takes the first unfilled seat of its workload"
    ORDINAL = "ordinal", "takes the seat of its ordinal"
    FALLBACK = "fallback", "its class has no room; another class stands in for it"
    AUDIT = "audit", "audit mode: decided and reported, nothing changed"
    OWNER_UNKNOWN = "owner-unknown", "its owner is not known yet; held on-demand"
    POLICY_INVALID = "policy-invalid", "its policy is invalid; held on-demand"

    # Rejected by filter
    WAIT_CLASS = "wait-class", "spotmix: waits for a node of its capacity class"
    WAIT_FALLBACK = "wait-fallback", "spotmix: waits for its capacity class before it falls back"
    WAIT_SAMPLE = "wait-sample", "spotmix: a node of its capacity class exists but was not offered"
    WAIT_NOMINATED = "wait-nominated", "spotmix: the nominated node is not of its capacity class"
    POOL_FULL = "pool-full", "spotmix: every spot pool holds its most replicas of this workload"

    # Errors
    NOT_SYNCED = "not-synced", "spotmix: cluster state is not synced yet"
    NOT_LEADER = "not-leader", "spotmix: this replica is not the leader"
    TAKING_OVER = "taking-over", "spotmix: this replica is the leader and not ready to decide yet"

    def __str__(self) -> str:
        """The label, as metrics and logs show it."""
        return str(self.value)


GIVES_A_CLASS = frozenset({Reason.SEAT, Reason.ORDINAL, Reason.FALLBACK, Reason.OWNER_UNKNOWN, Reason.POLICY_INVALID})
"""Reasons with which a pod is given nodes of a class."""
