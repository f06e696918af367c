"""The webhook over a world, with doubles around it."""

from collections.abc import Mapping
from typing import Any

from extender.core.admission.mutate import MutationRules, Mutator
from extender.core.model.errors import BusyError, WireError
from extender.core.policy.rules import PolicyRules
from extender.servers.admission import About, Admission, ReviewAnswer
from extender.servers.webhook import WebhookApp
from support.doubles import ON_DEMAND, RULES, SPOT, World, make_node
from support.doubles_servers import LIMIT, NoOwners
from support.reviews import encoded

LABEL = "karpenter.sh/capacity-type"
CONFIG = "kind: KubeSchedulerConfiguration\n"
INJECTED = CONFIG + "extenders: [ours]\n"


async def inject(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Stands for what puts our extender in: marks a configuration once, refuses one that says `wrong` or `busy`."""
    for key, text in texts.items():
        if "wrong" in text:
            raise WireError(f"data[{key!r}]: line 2: extenders is wrong; write a list")
        if "busy" in text:
            raise BusyError("there is no time for it")
        if "broken" in text:
            raise RuntimeError("a bug")
    return {key: INJECTED for key, text in texts.items() if text == CONFIG}


class HookBench:
    """A webhook with a labelled node of each class, and what it has told its observer."""

    def __init__(
        self, *, deny: bool = False, rules: PolicyRules = RULES, mutation: MutationRules | None = None
    ) -> None:
        self.world = World(rules)
        for name in (SPOT, ON_DEMAND):
            self.world.up(make_node(name, name, marks=((LABEL, name),)))
        self.owners = NoOwners()
        self.synced = True
        self.gating = False
        self.admission = Admission(
            self.world.state,
            self.owners,
            lambda: self.synced,
            Mutator(self.world.state, mutation or MutationRules(), lambda: self.gating),
            inject,
            deny,
            lambda: self.world.now,
        )
        self.app = WebhookApp(self.admission, LIMIT, lambda: 0.0, self)
        self.timed: list[str] = []
        self.outcomes: list[tuple[str, str]] = []
        self.faults: list[tuple[str, str]] = []
        self.about: list[About] = []

    def answered(self, verb: str, seconds: float) -> None:
        assert seconds >= 0
        self.timed.append(verb)

    def admitted(self, verb: str, outcome: str, about: About) -> None:
        self.outcomes.append((verb, outcome))
        self.about.append(about)

    def failed(self, verb: str, text: str, about: About) -> None:
        self.faults.append((verb, text))
        self.about.append(about)

    async def pod(self, thing: Any, **request: Any) -> ReviewAnswer:
        return await self.admission.mutate_pod(encoded(thing, **request))

    async def config(
        self, data: dict[str, str] | None, labels: dict[str, str] | None = None, **request: Any
    ) -> ReviewAnswer:
        thing = {"metadata": {"name": "config", "labels": labels}, "data": data}
        return await self.admission.mutate_scheduler_config(encoded(thing, "ConfigMap", **request))

    async def workload(self, thing: Any, kind: str = "Deployment", group: str = "apps", **request: Any) -> ReviewAnswer:
        return await self.admission.validate_workload(encoded(thing, kind, group, **request))

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a POST, without a server."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app({"type": "http", "path": path, "method": "POST", "headers": []}, receive, send)
        return sent[0]["status"], sent[1]["body"]
