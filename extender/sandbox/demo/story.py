"""The story: set-up, the acts, the summary, and an orderly end whenever it comes."""

import asyncio
import signal
import urllib.request
from dataclasses import dataclass

from extender.sandbox.demo import samples
from extender.sandbox.demo.acts import filter_words
from extender.sandbox.demo.environment import Environment, open_environment
from extender.sandbox.demo.observe import Observer
from extender.sandbox.demo.script import ACTS
from extender.sandbox.demo.show import Show, choose_show
from extender.sandbox.demo.stage import Stage
from extender.sandbox.versions import KUBERNETES

ALL_AS_ASKED, NOT_AS_ASKED = 0, 1
_METRICS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How the demo runs: `stay` keeps the cluster up at the end, `speed` divides all pauses."""

    stay: bool = False
    speed: float = 1.0


def run_demo(options: DemoOptions) -> int:
    """Run the demo and return its exit code.

    0 when every split was what its owner asked for at the end of every act, 1 when one was not, 128 plus the
    signal's number when it was stopped by one, such as 130 by Ctrl-C.

    Raises:
        SandboxError: no control plane can be had, or a component failed.
        ApiError: the API server refused, or is not reached any more.
    """
    show = choose_show(f"Spotmix on Kubernetes {KUBERNETES.removeprefix('v')} with simulated nodes")
    with asyncio.Runner() as runner:
        return runner.run(_interruptible(options, show))


async def _interruptible(options: DemoOptions, show: Show) -> int:
    stopped: list[int] = []
    task = asyncio.current_task()

    def stop(number: int) -> None:
        stopped.append(number)
        if task is not None:
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await _play(options, show)
    except asyncio.CancelledError:
        if not stopped:
            raise
        show.step("stopped, nothing is left running")
        return 128 + stopped[0]


async def _play(options: DemoOptions, show: Show) -> int:
    async with open_environment(show, options.speed) as environment:
        with show.curtain():
            async with Observer(environment.api, samples.NAMESPACE, show.see) as observer:
                stage = Stage(environment, observer, show, options.speed)
                for number, act in enumerate(ACTS, start=1):
                    show.act(f"{number}/{len(ACTS)} {act.title}", act.about)
                    await act.play(stage)
                if options.stay:
                    await _stay(stage, environment)
        return await _sum_up(stage, environment)


async def _sum_up(stage: Stage, environment: Environment) -> int:
    good = all(row.good for row in stage.rows)
    stage.show.summary(stage.rows)
    stage.show.say(_closing(await asyncio.to_thread(_exposition, environment), good=good))
    return ALL_AS_ASKED if good else NOT_AS_ASKED


async def _stay(stage: Stage, environment: Environment) -> None:
    """Leave the cluster to the user until a signal comes."""
    await _sum_up(stage, environment)
    stage.show.act("over to you", "the table follows what you change; Ctrl-C stops everything")
    spotmix = environment.spotmix
    stage.show.say(
        stay_lines(str(environment.plane.kubeconfig), spotmix.metrics_url, spotmix.api_target, str(spotmix.log_path))
    )
    while True:
        await asyncio.sleep(1.0)
        environment.check()


def stay_lines(kubeconfig: str, metrics_url: str, api: str, log_path: str) -> list[str]:
    """What a user needs to look around, commands ready to be copied."""
    kubectl = f"kubectl --kubeconfig {kubeconfig}"
    inside = f"{kubectl} -n {samples.NAMESPACE}"
    return [
        "The cluster stays up until Ctrl-C. Look around:",
        f"  {kubectl} get pods -A -o wide",
        f"  {kubectl} get nodes -L karpenter.sh/capacity-type,topology.kubernetes.io/zone",
        f"  {metrics_url}/console in a browser",
        f"  spotmix watch -A --server {api} --kubeconfig {kubeconfig}",
        f"  tail -f {log_path}",
        "and change things; a new policy holds for new pods, such as those of a rollout:",
        f"  {inside} scale deployment web --replicas 12",
        f"  {inside} annotate deployment api --overwrite spotmix.io/spot-percentage=50",
        f"  {inside} rollout restart deployment api",
        "",
    ]


def _closing(exposition: str, *, good: bool) -> list[str]:
    verdict = (
        "Every split was what its owner asked for, in every act."
        if good
        else "A split was off: see the summary. Please report it with the lines above."
    )
    return [line for line in (filter_words(exposition), verdict) if line]


def _exposition(environment: Environment) -> str:
    """The metrics of Spotmix; empty when they cannot be had, which is no reason to fail at the end."""
    try:
        # http on loopback, to a process of ours
        with urllib.request.urlopen(f"{environment.spotmix.metrics_url}/metrics", timeout=_METRICS_SECONDS) as answer:  # noqa: S310
            return str(answer.read().decode())
    except OSError:
        return ""
