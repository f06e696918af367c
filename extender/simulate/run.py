"""Runs a scenario from its warm-up to its report."""

from collections.abc import Callable

from extender.core.policy.values import parse_duration
from extender.simulate.build import Built
from extender.simulate.report import Report, report

STEPS = 200

Progress = Callable[[float], None]
"""Is told how far a simulation is: 0 to 1."""


def run(built: Built, seed: int, progress: Progress) -> Report:
    """Run a scenario.

    In the warm-up nothing is reclaimed, moved or measured: pods come up as after an installation.

    Args:
        built: the cluster, with its events planned.
        seed: for the report.
        progress: see `Progress`.
    """
    cluster, duration = built.cluster, parse_duration(built.scenario.duration)
    cluster.run(parse_duration(built.scenario.warm_up))
    cluster.begin()
    for step in range(1, STEPS + 1):
        progress((step - 1) / STEPS)
        cluster.run(duration / STEPS)
    progress(1.0)
    return report(built, seed, duration)
