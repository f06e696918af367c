"""docs/tutorial/first-split.md, done as it says: each command is run, and its output is what the page shows."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from generate.pages import DOCS
from programs import ROOT, kubectl
from support.patience import eventually
from support.transcript import Step, same, steps

pytestmark = [pytest.mark.controlplane, pytest.mark.tools]
PAGE = DOCS / "tutorial" / "first-split.md"
SANDBOX = "spotmix sandbox up "


class Terminal:
    """A shell that remembers what was exported, as the reader's does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "exported"
        # No proxy, kubeconfig or cache of the machine's user has a say.
        self.environ = {
            **{key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "SPOTMIX_SERVER")},
            "PATH": f"{kubectl().parent}:{os.environ['PATH']}",
            "KUBECACHEDIR": str(folder / "kubectl"),
            "TMPDIR": str(folder),
        }

    def start(self, commands: str) -> subprocess.Popen[str]:
        script = f"set -e\n[ ! -f {self._state} ] || . {self._state}\n{commands}\nexport -p > {self._state}\n"
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, commands: str) -> tuple[int, str]:
        """Run commands to their end; give the exit code, and what they printed."""
        running = self.start(commands)
        out, _ = running.communicate()
        return running.returncode, out


@pytest.fixture
def first(tmp_path: Path) -> Terminal:
    (tmp_path / "first").mkdir()
    return Terminal(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Terminal:
    (tmp_path / "second").mkdir()
    return Terminal(tmp_path / "second")


def interrupted(running: subprocess.Popen[str]) -> None:
    """Press Ctrl-C, which a terminal sends to all that runs in it."""
    os.killpg(running.pid, signal.SIGINT)
    running.communicate()


def until_last_line(output: IO[str], shown: str) -> str:
    seen = ""
    last = shown.strip().splitlines()[-1]
    for line in output:
        seen += line
        if line.strip() == last:
            break
    return seen


def with_own_exports(commands: str, printed: str) -> str:
    """The commands with the `export` lines that were printed in place of those of the page."""
    own = {line.split("=")[0].strip(): line.strip() for line in printed.splitlines() if "export " in line}
    return "\n".join(own.get(line.split("=")[0], line) for line in commands.splitlines())


def split(found: list[Step]) -> Iterator[list[Step]]:
    """What is done in the first terminal before the sandbox, the sandbox, and what is done in the second terminal."""
    at = next(number for number, step in enumerate(found) if step.commands.startswith(SANDBOX))
    yield from (found[:at], [found[at]], found[at + 1 :])


async def do(step: Step, terminal: Terminal, commands: str) -> None:
    def good(done: tuple[int, str]) -> bool:
        return done[0] == 0 and (step.shown is None or same(step.shown, done[1]))

    async def run() -> tuple[int, str]:
        return terminal.run(commands)

    what = f"{PAGE.name}, line {step.line}"
    if step.reads():
        await eventually(run, good, what)
    else:
        done = await run()
        assert good(done), (what, done)


async def test_every_command_does_what_the_page_says(first: Terminal, second: Terminal) -> None:
    before, (sandbox,), after = split(steps(PAGE))
    for step in before:
        await do(step, first, step.commands)
    assert sandbox.shown is not None
    up = first.start(sandbox.commands)
    assert up.stdout is not None
    try:
        printed = until_last_line(up.stdout, sandbox.shown)
        assert same(sandbox.shown, printed), printed
        for step in after:
            await do(step, second, with_own_exports(step.commands, printed))
    finally:
        interrupted(up)
    assert not list(first.folder.glob("spotmix-sandbox-*/*")), "Ctrl-C removes all of it"
