"""Lanes: test processes side by side. Tests that share what is costly to start go through the same one."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARING = ("deploy", "drift", "placement", "webhook", "console")
"""Folders of tests/integration whose modules share a control plane."""


def lanes() -> int:
    """How many lanes use the processors well: tests on a control plane wait half of their time."""
    return (os.cpu_count() or 1) + 1


def unit_of(nodeid: str) -> str:
    """What is run as a whole by one lane: a module, or the modules that share a control plane."""
    module = nodeid.partition("::")[0]
    folder = module.rpartition("/")[0]
    return folder if folder.removeprefix("tests/integration/") in SHARING else module


class Units(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands the units out in the order in which they were collected, the next one to the lane that is free first."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
