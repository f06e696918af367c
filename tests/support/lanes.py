"""Lanes: test processes side by side. Tests that share what is costly to start go through the same one."""

import os
from collections.abc import Mapping, Sequence
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


def lanes(selected: str) -> int:
    """How many lanes use the processors well, for tests that are selected by an expression of markers.

    Those on a control plane wait for a part of their time, the others for nothing; but a control plane that waits
    takes processor time, too. On two processors three lanes were faster than two or four.
    """
    return (os.cpu_count() or 1) + (0 if "not controlplane" in selected else 1)


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
