"""Placeholders: pods of ours that have an autoscaler bring a node before anything leaves for it.

No autoscaler adds a node for a pod that runs, nor for one with a scheduling gate. A placeholder asks in its name: it
has the same needs, and the class that is wanted. When it runs on a Ready node of the class there is room; then a pod
may be evicted, or let go by its gate, and what comes takes the room of the placeholder, which gives way to anybody.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from extender.core.drift.moves import Place, Spent, Wish
from extender.core.drift.placeholder import Action, Ask, Clear, Drop, Ended, Ending, Made, NotMade, ask_for
from extender.core.drift.proofs import Proofs, Shut, by_place
from extender.core.drift.rules import DriftRules
from extender.core.model.control import NEVER
from extender.core.model.reasons import Reason, Refusal
from extender.core.state.closures import Demand
from extender.core.state.records import PodRecord, replacing
from extender.core.state.state import ClusterState

POLL = 0.25
"""How often placeholders are looked at while there are any, or any is wanted (seconds)."""

AGAIN = 5.0
"""How soon is tried again what the API server did not answer or take (seconds)."""


class _Open(Struct, eq=False):
    """A placeholder that is there, or asked for since `at`.

    `uid` is empty until it is made, `seen` once the watch has delivered it, and `proven` once it has run. `spent` is
    the UID of the pod that it makes room for, `gated` where a gate let that go. `ending` is why it is to go; `deleting`
    while that is asked for, and `again` from when on it may be asked again.
    """

    name: str
    wish: Wish
    demand: Demand
    at: float
    uid: str = ""
    seen: bool = False
    proven: bool = False
    spent: str = ""
    gated: bool = False
    ending: Ending | None = None
    detail: str = ""
    deleting: bool = False
    again: float = 0.0

    @property
    def shut(self) -> Shut:
        return self.wish.capacity_class, self.demand


class _BackOff(Struct):
    """`failures` placeholders in a row were in vain; no other before `until`, unless a node of the class joins."""

    failures: int
    since: float
    until: float
    refusal: Refusal


class Placeholders:
    """Says which placeholders to make and to delete; a `Controller`, driven by the replica that decides.

    Args:
        state: the cluster.
        rules: how many there may be, and how long to wait.

    Attributes:
        on_wish: is called when something may be due that was not.
        news: whether a placeholder has come to run since this was set to false: a pod may be moved.
    """

    def __init__(self, state: ClusterState, rules: DriftRules) -> None:
        self._state, self._rules = state, rules
        self._wishes: dict[str, tuple[Wish, ...]] = {}
        self._open: dict[str, _Open] = {}
        self._back_off: dict[Shut, _BackOff] = {}
        self._steady: dict[str, str] = {}
        self._due: list[Action] = []
        self._clear_at, self._leads = NEVER, False
        self._paused_until = self._looked = 0.0
        self.on_wish: Callable[[], None] = lambda: None
        self.news = False
        self.progress: dict[Shut, float] = {}

    # What others want, and are told

    @property
    def on(self) -> bool:
        """Whether there may be any."""
        return self._rules.placeholder_limit > 0

    def want(self, source: str, wishes: Sequence[Wish]) -> None:
        """Take in for which pods a source (a workload's UID, or a gated pod's) wants room, in place of before."""
        if wishes and self._leads:
            self._wishes[source] = tuple(wishes)
            self.on_wish()
        else:
            self._wishes.pop(source, None)

    def proofs(self, now: float) -> Proofs:
        """What a plan has to know of them; `now` in seconds since the epoch."""
        if not (self._open or self._back_off or self._steady):
            return Proofs()
        held: dict[Place, tuple[PodRecord, ...]] = {}
        asked: set[Place] = set()
        for each in self._open.values():
            if each.spent or each.ending is not None:
                continue
            asked.add(each.wish.place)
            record = self._running(each)
            if record is not None:
                held[each.wish.place] = (*held.get(each.wish.place, ()), record)
        refused = {shut: each.refusal for shut, each in self._back_off.items() if self._is_shut(shut, now)}
        uids = frozenset(each.uid for each in self._open.values() if each.uid)
        return Proofs(held, self._steady.keys(), uids, asked, refused)

    def is_coming(self, place: Place, now: float) -> bool:
        """Whether a node is on its way for a placeholder of a place, or has come and it is about to run there."""
        records = (self._state.pods.get(each.uid) for each in self._free() if each.wish.place == place)
        coming = self._state.autoscaling.coming
        return any(record is not None and (record.node is not None or coming(record.uid, now)) for record in records)

    def spend(self, spent: Spent) -> None:
        """The room of a placeholder is for what replaces a pod, or for that pod itself where a gate let it go."""
        for each in self._open.values():
            if each.uid == spent.placeholder:
                each.spent, each.gated = spent.pod, spent.gated

    def unspend(self, pod: str) -> None:
        """A pod (UID) stays after all."""
        for each in self._open.values():
            if each.spent == pod:
                each.spent = ""

    def settled(self, pod: str) -> None:
        """What became of a move of a pod (UID) is known: its replacement needs no room any more."""
        for each in self._open.values():
            if each.spent == pod:
                self._end(each, Ending.USED)

    def take_over(self, now: float) -> None:
        """This replica leads from now on: whatever another has made is to go."""
        self._forget()
        self._clear_at, self._leads = now, True

    def stop(self) -> None:
        """Another leads from now on, or nobody: nothing is to come from here."""
        self._forget()
        self._clear_at, self._leads = NEVER, False

    def _forget(self) -> None:
        self._wishes.clear()
        self._open.clear()
        self._back_off.clear()
        self._steady.clear()
        self.progress.clear()
        self._due.clear()

    @property
    def running(self) -> int:
        """How many of them run."""
        return sum(self._running(each) is not None for each in self._open.values())

    @property
    def count(self) -> int:
        """How many there are, or are asked for."""
        return len(self._open)

    # What is due

    @property
    def next_at(self) -> float:
        """See `Controller`."""
        if self._due:
            return self._looked
        return self._looked + POLL if self._open or self._wishes or self._clear_at < NEVER else NEVER

    def due(self, now: float) -> Sequence[Action]:
        """See `Controller`. Where there is nothing it is asked again by `on_wish`, else every `POLL`."""
        self._looked = now
        self._prune(now)
        if self._clear_at <= now:
            self._clear_at = now + AGAIN
            self._due.append(Clear())
        for each in list(self._open.values()):
            self._review(each, now)
        self._drop_unneeded()
        for each in list(self._open.values()):
            self._delete(each, now)
        if self._clear_at == NEVER and now >= self._paused_until:
            self._ask(now)
        taken, self._due = self._due, []
        return taken

    def done(self, action: Ask | Drop | Clear, result: Made | NotMade | bool, now: float) -> None:
        """Take in what became of an action.

        Args:
            action: as it was due.
            result: of `Ask` what became of it; of the others whether all is deleted that was to be.
            now: seconds since the epoch.
        """
        if isinstance(action, Clear):
            self._clear_at = NEVER if result is True else self._clear_at
            return
        each = self._open.get(action.name)
        if each is None:
            if isinstance(result, Made):
                # Of another term: nobody waits for it.
                self._due.append(Drop(action.name, result.uid))
        elif isinstance(action, Drop):
            each.deleting = False
            if result is True:
                self._close(each, now)
        elif isinstance(result, Made):
            each.uid = result.uid
        elif isinstance(result, NotMade):
            self._not_made(each, result, now)

    def _not_made(self, each: _Open, result: NotMade, now: float) -> None:
        each.detail = result.text
        if result.how == "unanswered":
            # It may be there all the same.
            self._paused_until = now + AGAIN
            each.ending = Ending.LOST
            return
        each.ending = Ending.DENIED
        if result.how == "later":
            self._paused_until = now + AGAIN
            del self._open[each.name]
            return
        self._close(each, now)

    def _prune(self, now: float) -> None:
        """Forget what matters no more."""
        state, memory = self._state, self._rules.max_back_off
        for source in list(self._wishes):
            if source not in state.workloads.by_uid and source not in state.gated:
                del self._wishes[source]
        if self._steady:
            self._steady = {name: uid for name, uid in self._steady.items() if self._is_node(name, uid)}
        if self._back_off:
            self._back_off = {key: each for key, each in self._back_off.items() if now - each.until < memory}
        if self.progress:
            self.progress = {key: at for key, at in self.progress.items() if now - at < memory}

    # One placeholder

    def _running(self, each: _Open) -> PodRecord | None:
        """A placeholder that runs on a Ready node of its class."""
        record = self._state.pods.get(each.uid)
        facts = record.node.facts if record is not None and record.node is not None else None
        if record is None or facts is None or record.pending or record.terminating:
            return None
        there = facts.ready and not facts.unschedulable and not facts.going_away
        return record if there and facts.capacity_class == each.wish.capacity_class else None

    def _review(self, each: _Open, now: float) -> None:
        if not each.uid or each.ending is not None:
            return
        record = self._state.pods.get(each.uid)
        each.seen |= record is not None or self._state.is_gone(each.uid)
        if each.seen and (record is None or record.terminating):
            each.ending = Ending.USED if each.spent else Ending.LOST
            if record is None:
                self._close(each, now)
            return
        running = self._running(each)
        if running is not None and not each.proven:
            self._proved(each, running, now)
        if each.spent:
            if self._is_served(each):
                self._end(each, Ending.USED)
            return
        refused = self._state.autoscaling.refused(each.uid) if record is not None and record.node is None else ""
        if refused:
            self._end(each, Ending.REFUSED, refused)
        elif now - each.at > self._rules.node_startup:
            where = record.node_name if record is not None else ""
            detail = f"it is on node {where} and does not run there" if where and running is None else ""
            self._end(each, Ending.UNUSED if each.proven else Ending.TIMED_OUT, detail)

    def _proved(self, each: _Open, running: PodRecord, now: float) -> None:
        each.proven, self.news = True, True
        self._back_off.pop(each.shut, None)
        self.progress[each.shut] = now
        node = running.node
        if node is not None and node.facts is not None:
            self._steady[node.name] = node.facts.uid

    def _is_served(self, each: _Open) -> bool:
        """Whether the pod that a placeholder makes room for has come, or waits for nothing but the room."""
        state, pod, place = self._state, self._state.pods.get(each.spent), each.wish.place
        revision = state.revisions.get(place[0])
        if each.gated:
            return pod is None or pod.node is not None or (not pod.gates and state.was_refused(pod.uid))
        if pod is not None and not pod.terminating:
            # Its eviction has not been answered yet.
            return False
        if revision is None:
            return True
        if replacing(each.spent) in revision.reservations:
            return False
        coming = [other for other in revision.pods if other.node is None and not other.terminating]
        return not any(other.gates or not state.was_refused(other.uid) for other in coming if _goes_to(other, place[1]))

    def _end(self, each: _Open, ending: Ending, detail: str = "") -> None:
        if each.ending is None:
            each.ending, each.detail = ending, detail

    def _delete(self, each: _Open, now: float) -> None:
        made = bool(each.uid) or each.ending is Ending.LOST
        if each.ending is not None and made and not each.deleting and now >= each.again:
            each.deleting, each.again = True, now + AGAIN
            self._due.append(Drop(each.name, each.uid))

    def _close(self, each: _Open, now: float) -> None:
        """It is no more."""
        self._open.pop(each.name, None)
        ending, until = each.ending or (Ending.USED if each.spent else Ending.LOST), 0.0
        if ending in _IN_VAIN:
            until = self._back(each, ending, now)
        self._due.append(Ended(each.wish, ending, max(0.0, now - each.at), each.detail, until))

    def _back(self, each: _Open, ending: Ending, now: float) -> float:
        before = self._back_off.get(each.shut)
        # Those that were asked for together fail together.
        failures = 1 if before is None else before.failures + (each.at >= before.until)
        reason = Reason.PLACEHOLDER_DENIED if ending is Ending.DENIED else Reason.PLACEHOLDER_REFUSED
        refusal = Refusal(reason, each.detail)
        until = now + self._rules.wait_after(failures)
        self._back_off[each.shut] = _BackOff(failures, now, until, refusal)
        return until

    # Which there are to be

    def _is_shut(self, shut: Shut, now: float) -> bool:
        back_off = self._back_off.get(shut)
        if back_off is None or not back_off.since <= now < back_off.until:
            return False
        nodes = self._state.placeable.get(shut[0], {}).values()
        # A node that joined since says that there is capacity again.
        return back_off.refusal.reason is Reason.PLACEHOLDER_DENIED or not any(
            node.steady_since > back_off.since and node.facts is not None and node.facts.ready for node in nodes
        )

    def _is_node(self, name: str, uid: str) -> bool:
        node = self._state.nodes.get(name)
        return node is not None and node.facts is not None and node.facts.uid == uid

    def _free(self) -> Iterable[_Open]:
        return (each for each in self._open.values() if not each.spent and each.ending is None)

    def _drop_unneeded(self) -> None:
        """Of each place, no more than there are wishes; those go first that do not run."""
        wanted = by_place(wish for wishes in self._wishes.values() for wish in wishes)
        by: dict[Place, list[_Open]] = {}
        for each in self._free():
            by.setdefault(each.wish.place, []).append(each)
        for place, those in by.items():
            those.sort(key=lambda each: (each.proven, -each.at))
            for each in those[: max(0, len(those) - len(wanted.get(place, ())))]:
                self._end(each, Ending.UNNEEDED)

    def _ask(self, now: float) -> None:
        """Ask for as many at once as there may be, so that nodes are brought that fit them; each place in its turn."""
        left = self._rules.placeholder_limit - len(self._open)
        if left <= 0 or not self._wishes:
            return
        held = Counter(each.wish.place for each in self._free())
        lacking: dict[Place, list[Ask]] = {}
        shut: dict[Shut, bool] = {}
        for place, wishes in by_place(wish for those in self._wishes.values() for wish in those).items():
            for wish in wishes:
                if len(lacking.get(place, ())) >= min(left, len(wishes) - held[place]):
                    break
                ask = self._ask_for(wish, shut, now)
                if ask is not None:
                    lacking.setdefault(place, []).append(ask)
        while left > 0 and lacking:
            place = min(lacking, key=lambda each: held[each])
            ask = lacking[place].pop(0)
            if not lacking[place]:
                del lacking[place]
            held[place] += 1
            left -= 1
            pod = self._state.pods[ask.wish.pod.uid]
            self._open[ask.name] = _Open(ask.name, ask.wish, self._state.autoscaling.demand(pod), now)
            self._due.append(ask)

    def _ask_for(self, wish: Wish, shut: dict[Shut, bool], now: float) -> Ask | None:
        pod = self._state.pods.get(wish.pod.uid)
        if pod is None or pod.terminating:
            return None
        key = (wish.capacity_class, self._state.autoscaling.demand(pod))
        if key not in shut:
            shut[key] = self._is_shut(key, now)
        ask = ask_for(self._state, wish, pod) if not shut[key] else None
        return ask if ask is not None and ask.name not in self._open else None


_IN_VAIN = (Ending.REFUSED, Ending.TIMED_OUT, Ending.UNUSED, Ending.DENIED)


def _goes_to(pod: PodRecord, capacity_class: str) -> bool:
    reservation = pod.revision.reservations.get(pod.uid) if pod.revision is not None else None
    return capacity_class in (pod.written, reservation.capacity_class if reservation is not None else "")
