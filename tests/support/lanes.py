"""Lanes: test processes side by side. Tests that share what is costly to start go through the same one.

Tests on a control plane wait for much of their time: for a kubelet, a Lease, an autoscaler's batch. How much, depends
on the machine: one with fast processors waits as long, and computes less. So there are more lanes than processors can
serve, and those beyond a few start something only where a processor has nothing to do.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

INTEGRATION = "tests/integration/"
SHARING: Mapping[str, Sequence[str]] = {
    "autoscaling": ("test_ground", "test_pools", "test_refusals"),
    "console": ("test_console", "test_sign_in"),
    "deploy": ("test_admission", "test_install", "test_pod_policy"),
    "drift": (
        *("test_careful", "test_counted", "test_dry_run", "test_in_vain", "test_interruption"),
        *("test_owners", "test_repair", "test_stories", "test_tenants"),
    ),
    "kube": (
        *("test_access_real", "test_certificates_real", "test_eviction_real", "test_kube_real", "test_labelquery_real"),
        "test_lease_real",
    ),
    "placement": ("test_doors", "test_faults", "test_forged", "test_simulate", "test_split"),
    "policyobjects": ("test_acting", "test_schema"),
    "webhook": ("test_configs", "test_pods", "test_workloads"),
}
"""By folder of the integration tests: the modules whose tests share what the folder's conftest.py starts."""


CONSIDERATE = 2
"""Lanes that give way to others."""
IDLE = 0.3
"""The share of all processors' time in which they had nothing to do, from which on a considerate lane goes on."""
WINDOW = 2.0
"""Seconds over which it is measured; control planes that start together would take more than was idle."""
GIVES_WAY = 30.0
"""Seconds for which a considerate lane gives way at most."""


def _eager() -> int:
    """How many lanes never give way: on two processors that work all the time three were faster than two or four."""
    return (os.cpu_count() or 1) + 1


def lanes(selected: str) -> int:
    """How many lanes use the processors well, for tests that are selected by an expression of markers."""
    return os.cpu_count() or 1 if "not controlplane" in selected else _eager() + CONSIDERATE


def considerate(worker: str) -> int:
    """The number of a considerate lane, from 1 on; 0 of the others.

    Args:
        worker: what pytest-xdist calls the lane: gw0, gw1 and so on; empty where tests are not run side by side.
    """
    return max(0, int(worker.removeprefix("gw") or 0) + 1 - _eager())


def _idle() -> tuple[float, float]:
    """For how long processors had nothing to do since the machine started, and all they had, in the kernel's ticks."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def give_way(number: int) -> None:
    """Wait until a processor has nothing to do, as the considerate lane `number`; each looks at another length of time,
    so that not all see the same.
    """
    until = time.monotonic() + GIVES_WAY
    idle, spent = _idle()
    while time.monotonic() < until:
        time.sleep(WINDOW * number)
        idle_now, spent_now = _idle()
        if idle_now - idle >= IDLE * (spent_now - spent):
            return
        idle, spent = idle_now, spent_now


def unit_of(nodeid: str) -> str:
    """What one lane runs as a whole: a module, or those that share what a folder starts."""
    module = nodeid.partition("::")[0]
    folder, _, name = module.removeprefix(INTEGRATION).rpartition("/")
    shares = module.startswith(INTEGRATION) and name.removesuffix(".py") in SHARING.get(folder, ())
    return INTEGRATION + folder if shares else module


class Units(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands the units out in the order in which they were collected, the next one to the lane that is free first."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
