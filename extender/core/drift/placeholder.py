"""What a placeholder is, what is to be done with one, and how it ended."""

from collections.abc import Iterator
from itertools import product
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from extender.core.drift.moves import Wish
from extender.core.drift.replacement import demands_of_its_own
from extender.core.model.constraints import HostPort
from extender.core.model.objects import Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration
from extender.core.model.textenum import TextEnum
from extender.core.placement.requirement import Term
from extender.core.placement.written import ClassWriter
from extender.core.policy.keys import PLACEHOLDER
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

PREFIX = "spotmix-placeholder-"
"""Before the UID of the pod that a placeholder is made for: the name of the placeholder."""


def placeholder_label(prefix: str) -> str:
    """Key of the label that placeholders are found by; its value is the UID of the pod they are made for."""
    return f"{prefix}/{PLACEHOLDER}"


class Ending(TextEnum):
    """How a placeholder ended; `text` follows "its placeholder"."""

    USED = "used", "made room for a pod"
    UNNEEDED = "unneeded", "was not needed any more"
    REFUSED = "refused", "was refused by the autoscaler"
    TIMED_OUT = "timed-out", "did not come to run in time"
    UNUSED = "unused", "ran, but no pod came in its place"
    DENIED = "denied", "was refused by the API server"
    LOST = "lost", "was taken away by somebody else"


IN_VAIN = frozenset({Ending.REFUSED, Ending.TIMED_OUT, Ending.UNUSED, Ending.DENIED})
"""Endings after which none of the kind is asked for before a while."""


class Ask(Struct, frozen=True, gc=False):
    """Make a placeholder.

    It has the pod's own scheduler, tolerations, pod affinity and spread, which whoever makes it reads from the pod; and
    by this, what it `requests` of a node, its node `selector`, the `terms` of its required node affinity, its class
    among them, the ports of the node that it takes, and `tolerations` that the pod lacks and its replacement will have.
    """

    name: str
    wish: Wish
    requests: Requests
    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    tolerations: tuple[Toleration, ...] = ()


class Drop(Struct, frozen=True, gc=False):
    """Delete a placeholder; `uid` is empty where it is not known whether it was made at all."""

    name: str
    uid: str


class Clear(Struct, frozen=True, gc=False):
    """Delete all placeholders that there are: another has made them."""


class Ended(Struct, frozen=True, gc=False):
    """Tell that a placeholder is no more.

    It was there for `seconds`. Where it was in vain, `detail` says more, and none of the kind is asked for before
    `until` (seconds since the epoch).
    """

    wish: Wish
    ending: Ending
    seconds: float
    detail: str = ""
    until: float = 0.0


Action = Ask | Drop | Clear | Ended


class Made(Struct, frozen=True, gc=False):
    """A placeholder was made."""

    uid: str


class NotMade(Struct, frozen=True, gc=False):
    """It was not: the API server lets none be made (`denied`), or something passes (`later`), or nobody answered."""

    how: Literal["denied", "later", "unanswered"]
    text: str


def ask_for(state: ClusterState, wish: Wish, pod: PodRecord) -> Ask | None:
    """What to make for a pod; None where no label of nodes tells the class that it is to go to."""
    own = demands_of_its_own(state, pod)
    own = replace(own, node_terms=tuple(_near(state, pod, own.node_terms)) or None)
    requires = ClassWriter(state).requires(wish.capacity_class, own)
    if requires is None:
        return None
    demands = requires.on(own)
    return Ask(
        f"{PREFIX}{pod.uid}",
        wish,
        pod.requests,
        demands.node_selector,
        demands.node_terms or (),
        pod.constraints.host_ports,
        requires.tolerations,
    )


def _near(state: ClusterState, pod: PodRecord, own: tuple[Term, ...] | None) -> Iterator[Term]:
    """The terms of a pod's own, each with what its volumes ask for: it is to be where they are."""
    asked: list[tuple[Term, ...]] = [] if own is None else [own]
    for name in pod.constraints.claims:
        claim = state.claims.get((pod.namespace, name))
        volume = state.volumes.get(claim.volume) if claim is not None else None
        if volume is None:
            continue
        if volume.terms is not None:
            asked.append(volume.terms)
        if volume.zones:
            asked.append((tuple(Requirement(key, "In", tuple(sorted(where))) for key, where in volume.zones),))
    for terms in product(*asked) if asked else ():
        yield tuple(each for term in terms for each in term)
