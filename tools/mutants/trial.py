"""Runs tests against a mutant in a copy of the repository; the repository itself is never written to."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from mutants.fitting import fitting
from mutants.limits import CPU_SECONDS, PROFILE
from mutants.mutate import Mutant

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "node_modules")
SECONDS = 150
"""Of CPU time, for the tests of one mutant: several times what those of the core need."""


class Outcome(Enum):
    """What tests made of a mutant."""

    KILLED = "killed"
    ENDLESS = "endless"
    SURVIVED = "survived"


class Trial:
    """A copy of the repository in which one mutant after the other is tried."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self, modules: list[str]) -> str:
        """What is wrong with the tests of these modules as they are; empty when they pass here."""
        tests = list(dict.fromkeys(test for module in modules for test in fitting(self.root, module)))
        done = self._python("-c", "import extender; print(extender.__file__)")
        if Path(done.stdout.strip()).parent != self.root / "extender":
            return f"the copy in {self.root} is not what Python imports, but {done.stdout}{done.stderr}"
        done = self._pytest(tests)
        return "" if done.returncode == 0 else done.stdout[-4000:] + done.stderr[-4000:]

    def run(self, mutant: Mutant) -> Outcome:
        """Whether a test fails, or does not end, with a mutant in the place of its module."""
        path = self.root / mutant.module
        source = path.read_text()
        path.write_text(mutant.apply(source))
        try:
            status = self._pytest(fitting(self.root, mutant.module)).returncode
        finally:
            path.write_text(source)
        if status < 0:
            return Outcome.ENDLESS
        return Outcome.SURVIVED if status == 0 else Outcome.KILLED

    def _pytest(self, tests: list[str]) -> subprocess.CompletedProcess[str]:
        plugins = ("-p", "mutants.limits", "-p", "no:cacheprovider")
        return self._python("-m", "pytest", "-x", "-q", *plugins, "--hypothesis-profile", PROFILE, *tests)

    def _python(self, *args: str) -> subprocess.CompletedProcess[str]:
        # What is in the copy comes first; the plugin is ours.
        path = (self.root, self.root / "tools", Path(__file__).parents[1])
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", CPU_SECONDS: str(SECONDS)}
        return subprocess.run(
            [sys.executable, *args], cwd=self.root, env=environ, capture_output=True, text=True, check=False
        )


@contextmanager
def trial(repository: Path) -> Iterator[Trial]:
    """A trial in a temporary folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder).resolve() / "copy"
        shutil.copytree(repository, root, ignore=LEFT_OUT)
        yield Trial(root)
