"""docs/reference, where it is made from the code. `python -m support.reference` writes it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from extender.settings.reference import render_reference as settings
from extender.telemetry.eventreference import render_reference as events
from extender.telemetry.logreference import render_reference as logs
from extender.telemetry.reference import render_reference as metrics
from support.tools import ROOT

REFERENCE = ROOT / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "events.md": events,
    "logs.md": logs,
    "metrics.md": metrics,
    "settings.md": settings,
}


def write(folder: Path = REFERENCE) -> None:
    for name, render in PAGES.items():
        (folder / name).write_text(render())


if __name__ == "__main__":
    write()
