"""Components, run directories and ports, with small programs in the place of a control plane's."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from extender.core.model.errors import SandboxError
from extender.sandbox.ports import PortReservations, free_port
from extender.sandbox.probes import http_probe, socket_probe
from extender.sandbox.process import READY, Component, Deadlines, Probe
from extender.sandbox.rundir import RunDirectory, sweep

SLEEPS = ("/bin/sh", "-c", "echo started; exec sleep 60")
IGNORES_SIGTERM = ("/bin/sh", "-c", "trap '' TERM; echo started; while :; do sleep 60; done")


def says(tmp_path: Path, text: str) -> Probe:
    async def probe() -> str:
        log = tmp_path / "thing.log"
        return READY if log.exists() and text in log.read_text() else "nothing said yet"

    return probe


def component(tmp_path: Path, *command: str, start_timeout: float = 20.0, stop_grace: float = 20.0) -> Component:
    return Component(
        "thing",
        command,
        directory=tmp_path,
        probe=says(tmp_path, "started"),
        deadlines=Deadlines(start_timeout, stop_grace),
    )


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


async def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    thing = component(tmp_path, *SLEEPS)
    assert not thing.running
    await thing.start()
    first = thing.pid
    assert first is not None
    assert alive(first)
    thing.check()
    with pytest.raises(SandboxError, match="runs already"):
        await thing.start()
    await thing.restart()
    assert thing.pid != first
    assert not alive(first)
    wait_until(lambda: thing.log_tail() == "started\nstarted")
    await thing.stop()
    assert thing.pid is None
    await thing.stop()
    thing.check()


async def test_what_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    thing = component(tmp_path, *IGNORES_SIGTERM, stop_grace=0.05)
    await thing.start()
    pid = thing.pid
    assert pid is not None
    await thing.stop()
    assert not alive(pid)


async def test_an_end_of_its_own_shows_name_code_and_log(tmp_path: Path) -> None:
    thing = component(tmp_path, "/bin/sh", "-c", "echo cannot bind; exit 3")
    with pytest.raises(SandboxError, match=r"(?s)thing ended with exit code 3.*cannot bind"):
        await thing.start()
    assert not thing.running


async def test_a_death_later_is_found_by_check(tmp_path: Path) -> None:
    thing = component(tmp_path, *SLEEPS)
    await thing.start()
    assert thing.pid is not None
    os.kill(thing.pid, signal.SIGKILL)
    wait_until(lambda: not thing.running)
    with pytest.raises(SandboxError, match="thing ended with signal SIGKILL"):
        thing.check()
    await thing.start()
    await thing.stop(kill=True)


async def test_what_is_not_ready_in_time_is_stopped_and_told(tmp_path: Path) -> None:
    thing = component(tmp_path, "/bin/sh", "-c", "echo waiting for a lock; exec sleep 60", start_timeout=0.3)
    with pytest.raises(SandboxError, match=r"(?s)not ready after 0 s \(nothing said yet\).*waiting for a lock"):
        await thing.start()
    assert not thing.running


async def test_a_cancelled_start_leaves_no_process(tmp_path: Path) -> None:
    thing = component(tmp_path, "/bin/sh", "-c", "exec sleep 60")
    task = asyncio.create_task(thing.start())
    # It runs up to its first pause, which comes after the process was made.
    await asyncio.sleep(0)
    pid = thing.pid
    assert pid is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="thing cannot be started: /no-such-program is not a program"):
        await component(tmp_path, "/no-such-program").start()


OWNER = """
import asyncio, sys
from pathlib import Path
from extender.sandbox.process import Component

async def ready():
    return ""

async def main():
    folder = Path(sys.argv[1])
    thing = Component("thing", ["/bin/sleep", "60"], directory=folder, probe=ready)
    await thing.start()
    print(thing.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_it_dies_with_an_owner_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.kill()
    wait_until(lambda: not alive(pid))


def test_it_does_not_start_for_an_owner_that_is_dead_already(tmp_path: Path) -> None:
    # The wrapper is told another parent than it has, as if that one had died before it looked.
    component_of = component(tmp_path, "/bin/sh", "-c", f"touch {tmp_path}/ran")
    command = [sys.executable, "-c", "import sys; from extender.sandbox.process import _WRAPPER; print(_WRAPPER)"]
    wrapper = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    run = subprocess.run([sys.executable, "-c", wrapper, "1", *component_of._command], check=False)
    assert run.returncode == 125
    assert not (tmp_path / "ran").exists()


def test_a_run_directory_is_private_and_goes(tmp_path: Path) -> None:
    with RunDirectory(tmp_path) as run:
        assert run.path.stat().st_mode & 0o777 == 0o700
        (run.path / "file").write_text("x")
        assert sweep(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    run.close()


def test_a_run_directory_can_be_kept(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, keep=True) as run:
        pass
    assert run.path.is_dir()
    assert sweep(tmp_path) == []


def test_directories_of_dead_owners_are_swept_at_the_next_start(tmp_path: Path) -> None:
    code = "import sys, os; from pathlib import Path; from extender.sandbox.rundir import RunDirectory\n"
    code += "run = RunDirectory(Path(sys.argv[1])); print(run.path, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.is_dir()
    with RunDirectory(tmp_path) as run:
        assert not left.exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == [run.path.name, f"{run.path.name}.lock"]


def test_a_base_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="no run directory"):
        RunDirectory(tmp_path / "file" / "base")


def test_a_reserved_port_is_refused_to_all_but_those_who_share_it() -> None:
    ports = PortReservations()
    port = ports.reserve()
    assert ports.reserve() != port
    with contextlib.closing(socket.socket()) as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        with contextlib.closing(other.accept()[0]):
            # Closed on this side first, so that no TIME_WAIT lingers on the port.
            client.close()
    ports.close()
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", port))


async def test_probes_tell_what_they_miss(tmp_path: Path) -> None:
    assert "etcd" in await socket_probe(tmp_path / "etcd")()
    url = f"http://127.0.0.1:{free_port()}/readyz"
    assert url in await http_probe(url)()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        ok = path == b"/readyz"
        status, body = (b"200 OK", b"ok") if ok else (b"500 Error", b"[+]ping ok\n[-]etcd failed: reason withheld\n")
        writer.write(b"HTTP/1.0 " + status + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await http_probe(f"{base}/readyz")() == READY
        assert await http_probe(f"{base}/healthz")() == f"{base}/healthz answers 500 [-]etcd failed: reason withheld"

    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        assert await socket_probe(tmp_path / "socket")() == READY


async def test_a_socket_may_be_deep_in_folders(tmp_path: Path) -> None:
    deep = tmp_path / ("long-name-" * 12)
    deep.mkdir()
    folder = os.open(deep, os.O_PATH)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        listener.listen()
        assert await socket_probe(deep / "socket")() == READY
