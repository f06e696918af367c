"""Placeholders in virtual time: carries out what their controller says is due, as `runtime.drift.placeholders` does.

Not simulated: what a placeholder demands of where other pods are, and that it gives way to a pod that it was not made
for.
"""

from collections import Counter
from collections.abc import Callable

from extender.core.drift.placeholder import Action, Ask, Clear, Drop, Ended, Ending, Made, NotMade
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.rules import DriftRules
from extender.core.model.constraints import Constraints
from extender.core.state.state import ClusterState
from extender.simulate.api import Cause, PodTemplate, VirtualApi
from extender.simulate.clock import Timer
from extender.simulate.drive import VirtualDrive

NAMESPACE = "spotmix"
REQUEST = 0.05
"""Seconds until one is made, or deleted."""

START = 1.0
"""Seconds from its binding until one runs: nodes have the image, or get it while they start."""


class VirtualPlaceholders:
    """The placeholders of a virtual cluster.

    Args:
        api: the cluster.
        state: the cluster as Spotmix sees it.
        rules: how many there may be, and how long to wait.
        news: is called when one has come to run.

    Attributes:
        controller: says what is due.
        asked: how many were made.
        endings: how they ended.
    """

    def __init__(self, api: VirtualApi, state: ClusterState, rules: DriftRules, news: Callable[[], None]) -> None:
        self._api, self._clock, self._news = api, api.clock, news
        self.controller = Placeholders(state, rules)
        self.controller.on_wish = self._soon
        self._drive: VirtualDrive[Action] = VirtualDrive(self._clock, self.controller, self._perform)
        self._timer = Timer(None)
        self.asked = 0
        self.endings: Counter[Ending] = Counter()

    def start(self) -> None:
        """Make placeholders from now on."""
        self.controller.take_over(self._clock.now)
        self._soon()

    def _soon(self) -> None:
        """Whoever has a wish is not done with what it does."""
        if not self._timer.pending:
            self._timer = self._clock.after(0.0, self._drive.wake)

    def _perform(self, action: Action) -> None:
        match action:
            case Ask():
                self._clock.after(REQUEST, lambda: self._make(action))
            case Drop():
                self._clock.after(REQUEST, lambda: self._delete(action))
            case Clear():
                self.controller.done(action, True, self._clock.now)
            case Ended():
                self.endings[action.ending] += 1
        if self.controller.news:
            self._news()

    def _make(self, ask: Ask) -> None:
        pod = self._api.pods.get(ask.wish.pod.uid)
        result: Made | NotMade = NotMade("later", "the pod is gone")
        if pod is not None:
            demands = Constraints(
                node_selector=ask.selector,
                node_terms=ask.terms or None,
                tolerations=(*pod.constraints.tolerations, *ask.tolerations),
                host_ports=ask.host_ports,
            )
            template = PodTemplate(ask.requests, constraints=demands, start=START, stop=0.0, grace=0.0)
            result = Made(self._api.create_pod(NAMESPACE, ask.name, None, template).uid)
            self.asked += 1
        self.controller.done(ask, result, self._clock.now)
        self._soon()

    def _delete(self, drop: Drop) -> None:
        found = self._api.pods.get(drop.uid)
        if found is not None:
            self._api.delete_pod(found, Cause.SPOTMIX)
        self.controller.done(drop, True, self._clock.now)
        self._soon()
