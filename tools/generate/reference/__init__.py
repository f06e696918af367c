"""docs/reference, where it is made from the code. `python -m generate.reference` writes it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from programs import ROOT

from extender.settings.reference import render_reference as settings
from generate.reference.events import render_reference as events
from generate.reference.logs import render_reference as logs
from generate.reference.metrics import render_reference as metrics
from generate.reference.placementpolicy import render_reference as placement_policy
from generate.reference.policy import render_reference as policy
from generate.reference.room import render_reference as room

REFERENCE = ROOT / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "events.md": events,
    "logs.md": logs,
    "metrics.md": metrics,
    "room.md": room,
    "placement-policy.md": placement_policy,
    "policy.md": policy,
    "settings.md": settings,
}


def write(folder: Path = REFERENCE) -> None:
    for name, render in PAGES.items():
        (folder / name).write_text(render())
