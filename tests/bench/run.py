"""`python tests/bench/run.py` runs the benchmarks; see `command`."""

import sys
from pathlib import Path

# The folder of this script is the package `bench`: it is its parent that has to be importable, and the tools.
_TESTS = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(_TESTS), str(_TESTS.parent / "tools")]

from bench.command import main  # noqa: E402 - the line above makes it importable

main()
