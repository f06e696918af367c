"""Whatever happens to its owner, nothing of a sandbox is left running."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.patience import Patience, stretched

pytestmark = pytest.mark.controlplane


def test_a_start_that_fails_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    code = "import asyncio, sys; from pathlib import Path; from extender.sandbox import ControlPlane\n"
    code += "async def main():\n"
    code += "    async with ControlPlane(base=Path(sys.argv[1]), apiserver_flags=['--no-such-flag']): pass\n"
    code += "asyncio.run(main())"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=stretched(60)
    )
    assert "kube-apiserver ended with exit code 1" in run.stderr
    assert "no-such-flag" in run.stderr
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


OWNER = """
import asyncio, sys
from pathlib import Path
from extender.sandbox import ControlPlane

async def main():
    async with ControlPlane(base=Path(sys.argv[1])) as plane:
        print(" ".join(str(component.pid) for component in plane.components()), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def processes_in(folder: Path) -> list[int]:
    """Processes, not counting what has ended, whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def until_gone(folder: Path, pids: list[int]) -> None:
    patience = Patience(20)
    while left := [pid for pid in processes_in(folder) if pid in pids]:
        assert patience.left() > 0, f"still running: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 4
        assert set(pids) <= set(processes_in(tmp_path))
        owner.send_signal(number)
        owner.wait(stretched(20))
    until_gone(tmp_path, pids)
    # Ctrl-C is an orderly end; what a killed owner leaves behind goes with the next start.
    assert bool(list(tmp_path.iterdir())) == (number != signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_tells_how_to_reach_it_and_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "extender", "sandbox", "up", "--nodes-spot", "2", "--nodes-on-demand", "1"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as up:
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        given = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
        assert "server: https://127.0.0.1:" in Path(given["KUBECONFIG"]).read_text()
        status = [sys.executable, "-m", "extender", "status", "-A"]
        told = subprocess.run(
            status, capture_output=True, text=True, env={**os.environ, **given}, check=False, timeout=stretched(60)
        )
        assert (told.returncode, told.stderr) == (0, "")
        console = next(line.removeprefix("console: ") for line in lines if line.startswith("console: "))
        with urllib.request.urlopen(console, timeout=stretched(10)) as page:  # noqa: S310 - http on loopback
            assert "<title>" in page.read().decode()
        assert "a cluster with 2 spot and 1 on-demand nodes is up" in lines
        up.send_signal(number)
        assert up.wait(stretched(30)) == 0
    assert list((tmp_path / f"spotmix-sandbox-{os.getuid()}").iterdir()) == []


def test_assets_prints_the_folder_on_its_last_line() -> None:
    command = [sys.executable, "-m", "extender", "sandbox", "assets"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (Path(run.stdout.splitlines()[-1]) / "kube-scheduler").is_file()
