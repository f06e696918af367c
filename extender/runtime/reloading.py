"""Takes up a changed configuration while the process runs: looks at the file every few seconds, and at SIGHUP at once.

Flags and environment stay what they were, and still outrank the file. What is wrong changes nothing; what needs a
restart keeps its old value. Both are told of for as long as they last: by the log, metrics, and an Event on our
Deployment.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Literal

from extender.core.model.errors import ConfigError
from extender.core.model.eventreasons import EventReason
from extender.core.state.state import ClusterState
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing
from extender.runtime.ownobjects import own_deployment, own_pod
from extender.runtime.retelling import Retelling
from extender.settings import ConfigSource, Reload, Settings, reload_settings
from extender.telemetry import catalogue as families
from extender.telemetry.logs import logger
from extender.telemetry.readings import Reading

LOOK = 5.0
"""How often is looked whether the file has changed (seconds)."""

Outcome = Literal["applied", "unchanged", "restart", "invalid"]
"""What became of a changed configuration; `restart`: some of it needs one, the rest was taken up."""


class Reloading:
    """The configuration in force.

    Args:
        settings: with which the process was started.
        source: where another would come from.
        take_up: has everything go by other settings.
        counted: is told what became of each change.
        timing: where time comes from.
        now: seconds since the epoch.

    Attributes:
        settings: in force.
    """

    def __init__(
        self,
        settings: Settings,
        source: ConfigSource,
        take_up: Callable[[Settings], None],
        counted: Callable[[str], None],
        *,
        timing: Timing | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._source, self._take_up, self._counted = source, take_up, counted
        self._timing = timing or Timing()
        self._now = now
        self._seen = source.content()
        self._asked = asyncio.Event()
        self._fault, self._restart = "", tuple[str, ...]()
        self._succeeded = now()
        self._log = logger()

    def ask(self) -> None:
        """Read the configuration now, whether or not it looks changed (SIGHUP)."""
        self._asked.set()

    async def run(self, told: "ReloadEvents") -> None:
        """Look until cancelled; `told` posts Events."""
        while True:
            try:
                async with asyncio.timeout(LOOK):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self.look()
            told.tell(self.fault, self._restart)

    def look(self) -> None:
        """Read the configuration if that was asked for, or its file is another than it was."""
        content = self._source.content()
        if self._asked.is_set() or content != self._seen:
            self._asked.clear()
            self._seen = content
            self._counted(self._reload())

    @property
    def fault(self) -> str:
        """What is wrong with the configuration as it is written now; empty where nothing is."""
        return self._fault

    def _reload(self) -> Outcome:
        try:
            made = reload_settings(self.settings, self._source.load())
            if made.taken_up:
                self._take_up(made.settings)
                self.settings = made.settings
        except ConfigError as error:
            self._fault = str(error)
        except Exception as error:  # noqa: BLE001 - a bug here must not end what watches the file
            self._fault = f"Spotmix met a fault of its own with it: {error!r}"
        else:
            return self._reloaded(made)
        self._log.error("configuration invalid, the one in force stays", error=self._fault)
        return "invalid"

    def _reloaded(self, made: Reload) -> Outcome:
        self._fault, self._restart, self._succeeded = "", made.restart, self._now()
        if made.taken_up:
            self._log.info("configuration taken up", settings=list(made.taken_up))
        if made.restart:
            self._log.warning("configuration needs a restart", settings=list(made.restart))
            return "restart"
        if not made.taken_up:
            self._log.info("configuration read, nothing has changed")
        return "applied" if made.taken_up else "unchanged"

    def readings(self) -> Iterator[Reading]:
        """For /metrics."""
        yield Reading(families.CONFIG_SUCCESSFUL, {(): not self._fault})
        yield Reading(families.CONFIG_SUCCEEDED, {(): self._succeeded})
        yield Reading(families.CONFIG_RESTART, {(key,): 1.0 for key in self._restart})


class ReloadEvents:
    """Events about the configuration, on our Deployment, else on our pod; from the replica that decides.

    Args:
        state: the cluster.
        recorder: posts them.
        decides: whether this replica decides.
        timing: where time comes from.
    """

    def __init__(
        self,
        state: ClusterState,
        recorder: EventRecorder,
        decides: Callable[[], bool],
        *,
        timing: Timing | None = None,
    ) -> None:
        self._state, self._recorder, self._decides = state, recorder, decides
        self._retelling = Retelling((timing or Timing()).clock)

    def tell(self, fault: str, restart: tuple[str, ...]) -> None:
        """Tell of what lasts, unless that was done a while ago: an invalid configuration, keys that need a restart."""
        if not self._decides() or not (about := self._about()):
            return
        invalid = f"The configuration that is written is wrong, and the one in force stays: {fault}" if fault else ""
        self._say(about, EventReason.CONFIG_INVALID, "Reload", invalid)
        keys = ", ".join(restart)
        late = f"Spotmix has to be restarted to take up what has changed of {keys}; the old values stay in force"
        self._say(about, EventReason.CONFIG_RESTART, "Reload", late if restart else "")

    def _say(self, about: Regarding, reason: EventReason, action: str, text: str) -> None:
        if not self._retelling.is_due(reason.value, text):
            return
        if not text or self._recorder.emit(about, reason, action, text):
            self._retelling.told(reason.value, text)

    def _about(self) -> Regarding | None:
        pod, deployment = own_pod(self._state), own_deployment(self._state)
        if pod is None:
            return None
        if deployment is None:
            return Regarding.pod(pod.id)
        return Regarding(deployment.kind, deployment.api_version, pod.namespace, deployment.name, deployment.uid)
