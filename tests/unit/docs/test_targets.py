"""What `make` runs for the targets that pages name."""

import os
import subprocess

import pytest
from programs import ROOT


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("run",), ".venv/bin/spotmix serve"),
        (("run", "ARGS=--drift-read-only=true"), ".venv/bin/spotmix serve --drift-read-only=true"),
        (("demo", "STAY=1"), ".venv/bin/spotmix sandbox demo --stay"),
        (("llms",), "PYTHONPATH=tools .venv/bin/python -m generate.llms"),
    ],
)
def test_a_target_runs(arguments: tuple[str, ...], last: str) -> None:
    # Within `make test` this would be a make of a make, which prints more.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    printed = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[-1].strip() == last
