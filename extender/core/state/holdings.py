"""What the pods of namespaces with limits hold of each capacity class, and which of them wait until there is more.

A pod holds what it requests from the decision that lets it go to a class until it is gone: one that is bound holds the
class of its node, while it ends too; one that is not, that of its reservation or the one that is written on it. One
that was rejected holds nothing. Pods that nobody manages hold what they request as well, once they are bound.
"""

from collections.abc import Mapping

from extender.core.model.objects import Requests
from extender.core.policy.limits import Limit
from extender.core.state.account import Account, Holding
from extender.core.state.indexes import PodsByLabels
from extender.core.state.outbox import Outbox, Wake
from extender.core.state.records import PodRecord, Reservation, is_replacing, replaced_by
from extender.core.state.revisions import Revisions
from extender.core.state.waiting import Waiting

AGAIN = 30.0
"""After how long others of the pods that wait are tried, where there would be enough for some (seconds): those that
were tried before may wait for something else by now."""

_NO_REQUESTS = Requests()


class Holdings:
    """The accounts of the namespaces with limits.

    Args:
        pods: all pods, by UID.
        labels: the same, by namespace.
        revisions: knows the reservations.
        outbox: is told which pods are to be tried again.

    Attributes:
        accounts: by namespace.
        freed: namespaces whose waiting pods may be let go by now.
        changed: UIDs of policies whose limits are used otherwise than before. Who tells of them takes them out.
    """

    def __init__(
        self, pods: Mapping[str, PodRecord], labels: PodsByLabels, revisions: Revisions, outbox: Outbox
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self.freed: set[str] = set()
        self.changed: set[str] = set()
        self._pods, self._labels, self._revisions, self._outbox = pods, labels, revisions, outbox
        self._again_at = 0.0
        revisions.released = self._released

    def limit(self, namespace: str, limits: tuple[Limit, ...]) -> None:
        """The limits of a namespace from now on: what is held there is counted, and who waited for others is woken."""
        old = self.accounts.get(namespace)
        if (old.limits if old is not None else ()) == limits:
            return
        self.changed.update(limit.uid for limit in (*limits, *(old.limits if old is not None else ())))
        waiting = list(old.line.values()) if old is not None else []
        if not limits:
            del self.accounts[namespace]
            self._wake(waiting)
            return
        account = self.accounts[namespace] = Account(limits)
        reserved = (each.pod for each in self._revisions.reservations() if each.namespace == namespace)
        pods = (record.uid for group in self._labels.of(namespace) for record in group.pods)
        for uid in dict.fromkeys((*reserved, *pods)):
            account.hold(uid, self._held_by(uid, old.holdings.get(uid) if old is not None else None))
        account.line.update((each.pod, each) for each in waiting)
        self.freed.add(namespace)

    def look_at(self, pod: str, namespace: str) -> None:
        """See what a pod, or one that is to come, holds by now; who holds something waits no more."""
        account = self.accounts.get(namespace)
        if account is None:
            return
        before = account.holdings.get(pod)
        holding = self._held_by(pod, before)
        if account.hold(pod, holding):
            self.freed.add(namespace)
        if before != holding:
            self._changed(account)
        if holding is not None:
            self.leave(namespace, pod)

    def _released(self, reservation: Reservation) -> None:
        if self.accounts:
            self.look_at(reservation.pod, reservation.namespace)

    def _held_by(self, pod: str, before: Holding | None) -> Holding | None:
        """What a pod, or one that is to come, holds; of that one it is what the pod requests that it is to replace."""
        record = self._pods.get(replaced_by(pod))
        reservation = self._revisions.reservation(pod)
        held = reservation.capacity_class if reservation is not None and not reservation.waits else ""
        if is_replacing(pod):
            asked = record.requests if record is not None else before.requests if before is not None else _NO_REQUESTS
            return Holding(held, asked) if held else None
        if record is None:
            return None
        if record.node is not None and record.node.facts is not None:
            held = record.node.facts.capacity_class
        elif record.terminating and record.node is None:
            held = ""
        elif not record.gates:
            held = record.written or held
        return Holding(held, record.requests) if held else None

    # Who waits

    def wait(self, waiting: Waiting) -> None:
        """A pod was rejected: it waits in line where that is for a limit."""
        account = self.accounts.get(waiting.namespace)
        if account is None:
            return
        if waiting.limited:
            if account.promise(waiting.pod, None):
                self.freed.add(waiting.namespace)
            account.line[waiting.pod] = waiting
            self._changed(account)
        else:
            self.leave(waiting.namespace, waiting.pod)

    def leave(self, namespace: str, pod: str) -> None:
        """A pod waits for no limit: what it was to get is for the next."""
        account = self.accounts.get(namespace)
        if account is not None and account.line.pop(pod, None) is not None:
            account.promise(pod, None)
            self.freed.add(namespace)
            self._changed(account)

    def _changed(self, account: Account) -> None:
        self.changed.update(limit.uid for limit in account.limits)

    def try_again(self, now: float) -> None:
        """Once in a while those of the line are tried that were not (seconds, of the clock of decisions)."""
        if now >= self._again_at:
            self._again_at = now + AGAIN
            for namespace, account in self.accounts.items():
                account.forget_promises()
                if account.line:
                    self.freed.add(namespace)

    def wake_admissible(self) -> None:
        """Have pods tried again that waited for what is free by now."""
        for namespace in sorted(self.freed):
            account = self.accounts.get(namespace)
            if account is not None and account.line:
                self._wake(account.admissible(self._pods))
        self.freed.clear()

    def _wake(self, pods: list[Waiting]) -> None:
        self._outbox.effects.extend(Wake(each.pod, each.namespace, each.name) for each in pods)
