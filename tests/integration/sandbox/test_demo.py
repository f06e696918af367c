"""The demo as a user runs it, speeded up, without a terminal."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(180)]

RESULTS = (
    "burst: web wanted 7 spot + 3 on-demand, actual 7 spot + 3 on-demand: exact",
    "burst: api wanted 4 spot + 2 on-demand, actual 4 spot + 2 on-demand: exact",
    "burst: cache wanted 3 spot + 2 on-demand, actual 3 spot + 2 on-demand: exact",
    "burst: batch wanted 5 spot + 3 on-demand, actual 5 spot + 3 on-demand: exact",
    "rollout: web wanted 7 spot + 3 on-demand, actual 7 spot + 3 on-demand: exact",
    "scale-in: web wanted 3 spot + 2 on-demand, actual 3 spot + 2 on-demand: exact",
    "spot termination: cache wanted 3 spot + 2 on-demand, actual 2 spot + 2 on-demand, 1 waiting: waits, as asked",
    "spot returns: cache wanted 3 spot + 2 on-demand, actual 3 spot + 2 on-demand: exact",
)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for run directories with a short name: sockets are in them."""
    path = Path(tempfile.mkdtemp(prefix="demo-"))
    yield path
    shutil.rmtree(path)


def start(temporary: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "extender", "sandbox", "demo", *flags],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines_of(demo: subprocess.Popen[str]) -> IO[str]:
    assert demo.stdout is not None
    return demo.stdout


def left_over(temporary: Path) -> list[str]:
    """Command lines of the processes that name the run directory, and what is left in its folder."""
    left = [str(path) for path in temporary.glob("*/run-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(temporary) in command:
            left.append(command)
    return left


def running(temporary: Path) -> int:
    return sum("kube-" in command or "etcd" in command for command in left_over(temporary))


def test_every_act_ends_with_the_split_that_was_asked_for(temporary: Path) -> None:
    demo = start(temporary, "--speed", "10")
    try:
        out, _ = demo.communicate()
    finally:
        demo.kill()
    assert demo.returncode == 0, out
    for result in RESULTS:
        assert result in out
    assert ": off" not in out
    assert "\x1b" not in out
    assert not left_over(temporary)


@pytest.mark.parametrize(
    ("moment", "number"),
    [("starting etcd", signal.SIGINT), ("== 3/5", signal.SIGINT), ("== 1/5", signal.SIGTERM)],
    ids=["start", "scale-in", "terminated"],
)
def test_a_signal_stops_everything_in_order(temporary: Path, moment: str, number: signal.Signals) -> None:
    demo = start(temporary, "--speed", "10")
    try:
        out = ""
        for line in lines_of(demo):
            out += line
            if moment in line:
                break
        demo.send_signal(number)
        out += demo.communicate()[0]
    finally:
        demo.kill()
    assert demo.returncode == 128 + number, out
    assert "nothing is left running" in out
    assert "Traceback" not in out
    assert not left_over(temporary)


def test_it_stays_until_ctrl_c_with_what_kubectl_needs(temporary: Path) -> None:
    demo = start(temporary, "--speed", "20", "--stay")
    try:
        out = ""
        for line in lines_of(demo):
            out += line
            if "rollout restart" in line:
                break
        kubeconfig = out.partition("kubectl --kubeconfig ")[2].partition(" ")[0]
        assert Path(kubeconfig).is_file(), out
        assert running(temporary) >= 4
        demo.send_signal(signal.SIGINT)
        out += demo.communicate()[0]
    finally:
        demo.kill()
    assert demo.returncode == 130, out
    assert not left_over(temporary)


def test_without_a_control_plane_it_says_how_to_get_one(temporary: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "extender", "sandbox", "demo"],
        env={
            "PATH": "",
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "SPOTMIX_SANDBOX_DOWNLOAD": "0",
            "PIP_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2, shown
    assert "no control plane" in shown.stderr
    assert "KUBEBUILDER_ASSETS" in shown.stderr
    assert "Traceback" not in shown.stderr
