"""Seats that were asked for in the name of pods that the watch does not know.

The scheduler and Spotmix read the same watch, so that a pod is nearly always known here before the scheduler asks about
it. A request for another pod is either a few moments early, or made up by somebody who is no scheduler: it must not
cost the pods that there are. So its seat counts only for decisions on other such pods, for a few seconds, and there is
a bound to how many there can be.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from extender.core.state.records import Reservation
from extender.core.state.waiting import Waiting

LIFE = 5.0
"""How long such a seat is held (seconds). Both watches lag by some milliseconds; an API server's own cache by 3 s at
most, after which it answers nobody (`blockTimeout` in `apiserver/pkg/storage/cacher`)."""

PER_REVISION, IN_ALL = 1_000, 4_000
"""Most seats that are held; the oldest give way. A scheduler asks for some 300 pods in a second."""

_NONE: Mapping[str, Reservation] = {}


class SeatClaim(Struct, frozen=True, gc=False):
    """A seat for a pod that is not known, and that filter rejected the pod, if it did."""

    reservation: Reservation
    waiting: Waiting | None = None


class Provisional:
    """The seats of pods that are not known, by pod and by the UID of their controller, as the request named it."""

    def __init__(self) -> None:
        self._claims: OrderedDict[str, SeatClaim] = OrderedDict()
        self._by_owner: dict[str, dict[str, Reservation]] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def of(self, owner: str) -> Mapping[str, Reservation]:
        """The seats of a controller's pods, by pod."""
        return self._by_owner.get(owner, _NONE)

    def owners(self) -> list[str]:
        """The UIDs of controllers whose pods hold seats."""
        return list(self._by_owner)

    def all(self) -> Iterator[Reservation]:
        """The seats of all such pods."""
        return (claim.reservation for claim in self._claims.values())

    def put(self, reservation: Reservation) -> None:
        """Hold a seat, in place of the one that was held for the pod."""
        self.pop(reservation.pod)
        held = self._by_owner.setdefault(reservation.owner.uid, {})
        if len(held) >= PER_REVISION:
            self.pop(next(iter(held)))
        elif len(self._claims) >= IN_ALL:
            self.pop(next(iter(self._claims)))
        self._claims[reservation.pod] = SeatClaim(reservation)
        self._by_owner.setdefault(reservation.owner.uid, held)[reservation.pod] = reservation

    def reject(self, waiting: Waiting) -> None:
        """Filter has found no node for a pod that holds such a seat."""
        claim = self._claims.get(waiting.pod)
        if claim is not None:
            self._claims[waiting.pod] = SeatClaim(claim.reservation, waiting)

    def pop(self, pod: str) -> SeatClaim | None:
        """Give the seat of a pod back, and return what was held."""
        claim = self._claims.pop(pod, None)
        if claim is not None:
            owner = claim.reservation.owner.uid
            held = self._by_owner[owner]
            del held[pod]
            if not held:
                del self._by_owner[owner]
        return claim

    def expire(self, now: float) -> None:
        """Give back what was asked for too long ago."""
        while self._claims:
            oldest = next(iter(self._claims))
            if now - self._claims[oldest].reservation.at <= LIFE:
                return
            self.pop(oldest)

    def clear(self) -> None:
        """Give all back."""
        self._claims.clear()
        self._by_owner.clear()
