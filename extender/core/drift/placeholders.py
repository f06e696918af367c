"""Placeholders: pods of ours that have an autoscaler bring a node before anything leaves for it.

No autoscaler adds a node for a pod that runs, nor for one with a scheduling gate. A placeholder asks in its name: it
has the same needs, and the class that is wanted. When it runs on a Ready node of the class there is room; then a pod
may be evicted, or let go by its gate, and what comes takes the room of the placeholder, which gives way to anybody.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from extender.core.drift.moves import Place, Spent, Wish
from extender.core.drift.open_placeholder import OpenPlaceholder, look_at, makes_way, running
from extender.core.drift.placeholder import IN_VAIN, Action, Ask, Clear, Drop, Ended, Ending, Made, NotMade, ask_for
from extender.core.drift.placeholder_backoff import PlaceholderBackoff
from extender.core.drift.placeholder_turns import share_out, unneeded
from extender.core.drift.proofs import Proofs, Shut, by_place
from extender.core.drift.rules import DriftRules
from extender.core.model.control import NEVER
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

POLL = 0.25
"""How often placeholders are looked at while there are any, or any is wanted (seconds)."""

COMES = 1.0
"""How long no other is asked for once one has made way: it would take the room before the pod it is for (seconds)."""

AGAIN = 5.0
"""How soon is tried again what the API server did not answer or take (seconds)."""


class Placeholders:
    """Says which placeholders to make and to delete; a `Controller`, driven by the replica that decides.

    Args:
        state: the cluster.
        rules: how many there may be, and how long to wait.

    Attributes:
        on_wish: is called when something may be due that was not.
        news: UIDs of workloads for which placeholders have come to run since this was taken: a pod may be moved.
    """

    def __init__(self, state: ClusterState, rules: DriftRules) -> None:
        self._state, self._rules = state, rules
        self._wishes: dict[str, tuple[Wish, ...]] = {}
        self._open: dict[str, OpenPlaceholder] = {}
        self._back_off = PlaceholderBackoff(state, rules)
        self._steady: dict[str, str] = {}
        self._in_vain: frozenset[Shut] | None = None
        self._due: list[Action] = []
        self._clear_at, self._leads = NEVER, False
        self._paused_until = self._looked = 0.0
        self.on_wish: Callable[[], None] = lambda: None
        self.news: set[str] = set()
        self.progress: dict[Shut, float] = {}

    def go_by(self, rules: DriftRules) -> None:
        """Go by other rules from now on."""
        self._rules, self._in_vain = rules, None
        self._back_off.go_by(rules)

    # What others want, and are told

    @property
    def on(self) -> bool:
        """Whether there may be any."""
        return self._rules.placeholder_limit > 0

    def want(self, source: str, wishes: Sequence[Wish]) -> None:
        """Take in for which pods a source (a workload's UID, or a gated pod's) wants room, in place of before."""
        if wishes and self._leads:
            if self._wishes.get(source) != tuple(wishes):
                self._wishes[source], self._in_vain = tuple(wishes), None
            self.on_wish()
        else:
            self._wishes.pop(source, None)

    def proofs(self, now: float) -> Proofs:
        """What a plan has to know of them; `now` in seconds since the epoch."""
        if not (self._open or len(self._back_off) or self._steady):
            return Proofs()
        held: dict[Place, tuple[PodRecord, ...]] = {}
        asked: set[Place] = set()
        for each in self._open.values():
            if not each.free:
                continue
            asked.add(each.wish.place)
            record = running(self._state, each)
            if record is not None:
                held[each.wish.place] = (*held.get(each.wish.place, ()), record)
        uids = frozenset(each.uid for each in self._open.values() if each.uid)
        return Proofs(held, self._steady.keys(), uids, asked, self._back_off.refused(now))

    def take_news(self) -> set[str]:
        """The workloads of `news`, which is empty then."""
        taken, self.news = self.news, set()
        return taken

    def is_coming(self, place: Place, now: float) -> bool:
        """Whether a node is on its way for a placeholder of a place, or has come and it is about to run there."""
        records = (self._state.pods.get(each.uid) for each in self._free() if each.wish.place == place)
        coming = self._state.autoscaling.coming
        return any(record is not None and (record.node is not None or coming(record.uid, now)) for record in records)

    def spend(self, spent: Spent) -> None:
        """The room of a placeholder is for what replaces a pod."""
        for each in self._open.values():
            if each.uid == spent.placeholder:
                each.spent = spent.pod

    def make_way(self, placeholder: str) -> None:
        """A placeholder (UID) is to go for a gated pod, which is let go once it is gone."""
        for each in self._open.values():
            if each.uid == placeholder:
                each.end(Ending.USED)
                self.on_wish()

    def make_way_at(self, place: Place) -> bool:
        """Whether any of a place that has a node is about to be deleted."""
        return any(each.wish.place == place and makes_way(self._state, each) for each in self._open.values())

    def evicted(self, pod: str) -> None:
        """The eviction of a pod (UID) was granted: its replacement is about to be made."""
        for each in self._open.values():
            if each.spent == pod:
                each.evicted = True
                self.on_wish()

    def unspend(self, pod: str) -> None:
        """A pod (UID) stays after all."""
        for each in self._open.values():
            if each.spent == pod:
                each.spent = ""

    def settled(self, pod: str) -> None:
        """What became of a move of a pod (UID) is known: its replacement needs no room any more."""
        for each in self._open.values():
            if each.spent == pod:
                each.end(Ending.USED)

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
        self._in_vain = None
        self._open.clear()
        self._back_off.clear()
        self._steady.clear()
        self.progress.clear()
        self._due.clear()

    @property
    def running(self) -> int:
        """How many of them run."""
        return sum(running(self._state, each) is not None for each in self._open.values())

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
        if self._open:
            for each in list(unneeded(self._free(), self._wanted())):
                each.end(Ending.UNNEEDED)
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

    def _not_made(self, each: OpenPlaceholder, result: NotMade, now: float) -> None:
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
        self._back_off.forget(now)
        if self.progress:
            self.progress = {key: at for key, at in self.progress.items() if now - at < memory}

    # One placeholder

    def _review(self, each: OpenPlaceholder, now: float) -> None:
        proven = each.proven
        look_at(self._state, self._rules, each, now)
        if each.proven and not proven:
            self._proved(each, now)
        if each.gone:
            self._close(each, now)

    def _proved(self, each: OpenPlaceholder, now: float) -> None:
        self.news.add(each.wish.workload.uid)
        self._back_off.proved(each.shut)
        self.progress[each.shut] = now
        record = self._state.pods[each.uid]
        if record.node is not None and record.node.facts is not None:
            self._steady[record.node.name] = record.node.facts.uid

    def _delete(self, each: OpenPlaceholder, now: float) -> None:
        if each.to_delete and not each.deleting and now >= each.again:
            each.deleting, each.again = True, now + AGAIN
            self._due.append(Drop(each.name, each.uid))

    def _close(self, each: OpenPlaceholder, now: float) -> None:
        """It is no more."""
        self._open.pop(each.name, None)
        ending, until = each.ending or (Ending.USED if each.spent else Ending.LOST), 0.0
        if ending is Ending.USED:
            self._paused_until = max(self._paused_until, now + COMES)
        elif ending in IN_VAIN:
            until = self._back_off.failed(each.shut, ending, each.detail, each.at, now)
        self._due.append(Ended(each.wish, ending, max(0.0, now - each.at), each.detail, until))

    # Which there are to be

    def _is_node(self, name: str, uid: str) -> bool:
        node = self._state.nodes.get(name)
        return node is not None and node.facts is not None and node.facts.uid == uid

    def _free(self) -> Iterable[OpenPlaceholder]:
        return (each for each in self._open.values() if each.free)

    def _wanted(self) -> dict[Place, list[Wish]]:
        return by_place(wish for wishes in self._wishes.values() for wish in wishes)

    def _ask(self, now: float) -> None:
        """Ask for as many at once as there may be, so that nodes are brought that fit them; each place in its turn."""
        left = self._rules.placeholder_limit - len(self._open)
        if left <= 0 or not self._wishes or self._is_in_vain(now):
            return
        held = Counter(each.wish.place for each in self._free())
        shut: dict[Shut, bool] = {}
        asks = {
            place: islice(self._asks(wishes, shut, now), max(0, len(wishes) - held[place]))
            for place, wishes in self._wanted().items()
        }
        for ask in share_out(asks, held, left):
            pod = self._state.pods[ask.wish.pod.uid]
            self._open[ask.name] = OpenPlaceholder(ask.name, ask.wish, self._state.autoscaling.demand(pod), now)
            self._due.append(ask)
        # Where any is open, not all wishes were looked at.
        self._in_vain = frozenset(shut) if not self._open and all(shut.values()) else None

    def _is_in_vain(self, now: float) -> bool:
        """Whether nothing that is wanted may be asked for, as when all wishes, perhaps thousands, were looked at."""
        return self._in_vain is not None and all(self._back_off.is_shut(key, now) for key in self._in_vain)

    def _asks(self, wishes: Iterable[Wish], shut: dict[Shut, bool], now: float) -> Iterator[Ask]:
        for wish in wishes:
            pod = self._state.pods.get(wish.pod.uid)
            if pod is None or pod.terminating:
                continue
            key = (wish.capacity_class, self._state.autoscaling.demand(pod))
            if key not in shut:
                shut[key] = self._back_off.is_shut(key, now)
            ask = ask_for(self._state, wish, pod) if not shut[key] else None
            if ask is not None and ask.name not in self._open:
                yield ask
