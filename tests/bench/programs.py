"""The programs under test as child processes that never outlive the benchmark, and what they cost.

Every child is a `Component` of the sandbox: the kernel kills it when this process ends, however that happens.
"""

import asyncio
import json
import os
import re
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from extender.kube import incluster
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.probes import http_probe
from extender.sandbox.process import READY, Component, Deadlines, Probe

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
REST = 0.1
"""Seconds that a process has to have little to do, to be at rest."""


def tcp_probe(port: int) -> Probe:
    """A probe that is content when the port accepts a connection."""

    async def probe() -> str:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError as error:
            return str(error)
        writer.close()
        return READY

    return probe


@asynccontextmanager
async def running(component: Component) -> AsyncIterator[Component]:
    """Start a component, and stop it at the end of the block."""
    await component.start()
    try:
        yield component
    finally:
        await component.stop()


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for logs and kubeconfigs of one benchmark."""
    return tempfile.TemporaryDirectory(prefix="spotmix-bench-")


def environment() -> dict[str, str]:
    """Our environment without settings of Spotmix, and with this package importable."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SPOTMIX_")}
    return {**kept, "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(ROOT)))}


async def output_of(who: str, *command: str, cwd: Path | None = None, stderr: int | None = None) -> bytes:
    """Run a program to its end, which comes with ours at the latest, and give what it wrote.

    Args:
        who: what it is, for people.
        command: the program and its arguments.
        cwd: where it runs; here, by default.
        stderr: where its errors go, as for `asyncio.create_subprocess_exec`; where ours go, by default.

    Raises:
        RuntimeError: it failed; the text ends with the last that it wrote to us.
    """
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=stderr
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{who} ended with {process.returncode}:\n{(errors or output).decode()[-3000:]}")
    return output


async def measured(who: str, module: str, *numbers: int) -> dict[str, Any]:
    """What `python -m module numbers`, in a process of its own, has measured: the JSON object that it prints.

    Raises:
        RuntimeError: it failed.
    """
    seen: dict[str, Any] = json.loads(await output_of(who, sys.executable, "-m", module, *map(str, numbers)))
    return seen


def python(name: str, module: str, arguments: Sequence[str], folder: Path, port: int) -> Component:
    """`python -m module arguments` that is ready when it listens on `port`."""
    return Component(
        name,
        [sys.executable, "-m", module, *arguments],
        directory=folder,
        probe=tcp_probe(port),
        url=f"http://{LOOPBACK}:{port}",
        env=environment(),
        deadlines=Deadlines(start=120.0),
    )


class Serve(Component):
    """`spotmix serve` as users run it, against the API server at `api`: plain HTTP and no credentials, by a kubeconfig.

    With the folder of an `account` it is a pod's: by TLS, with the environment and byte code that chart and image give
    it. The byte code is kept in that folder, so the first start makes it, and a second is as in a pod.

    Attributes:
        port: of the extender.
        metrics_url: address of the metrics.
        api_target: host:port of the gRPC API.
    """

    port: int
    metrics_url: str
    api_target: str

    def __init__(self, name: str, folder: Path, api: str, *flags: str, account: Path | None = None) -> None:
        self.port, metrics = free_port(), free_port()
        self.api_target = f"{LOOPBACK}:{free_port()}"
        self.metrics_url = f"http://{LOOPBACK}:{metrics}"
        kubeconfig = folder / f"{name}.kubeconfig"
        kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
            f"clusters: [{{name: bench, cluster: {{server: '{api}'}}}}]\n"
            "users: [{name: bench, user: {token: bench}}]\n"
            "contexts: [{name: bench, context: {cluster: bench, user: bench}}]\n"
        )
        program, env = ["extender", "serve", "--kubeconfig", str(kubeconfig)], environment()
        if account is not None:
            address = urlsplit(api)
            program = ["bench.inpod", str(account), "serve"]
            env |= {
                incluster.HOST: str(address.hostname),
                incluster.PORT: str(address.port),
                "HOME": str(folder),
                "SSL_CERT_FILE": str(account / "ca.crt"),
                "PYTHONPYCACHEPREFIX": str(account / "bytecode"),
                "PYTHONNODEBUGRANGES": "1",
                "PYTHONDONTWRITEBYTECODE": "",
            }
        super().__init__(
            name,
            [
                *(sys.executable, "-m", *program, "--log-format", "json"),
                *("--extender-addr", f"{LOOPBACK}:{self.port}", "--metrics-addr", f"{LOOPBACK}:{self.metrics_port}"),
                *("--api-addr", self.api_target),
                *flags,
            ],
            directory=folder,
            probe=http_probe(f"{self.metrics_url}/readyz"),
            url=f"http://{LOOPBACK}:{self.port}/scheduler",
            env=env,
            deadlines=Deadlines(start=180.0),
        )

    @property
    def metrics_port(self) -> int:
        """Port of the metrics."""
        return int(self.metrics_url.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: CPU seconds, resident memory now and at its peak (MB, 10^6 bytes)."""

    cpu: float
    rss: float
    peak: float


def usage(pid: int | None) -> Usage:
    """Read it from /proc; zeros for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Usage(0.0, 0.0, 0.0)
    memory = {
        name: int(size) * 1024 / 1e6 for name, size in re.findall(r"^(VmRSS|VmHWM):\s+(\d+)", status, re.MULTILINE)
    }
    cpu = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu, memory.get("VmRSS", 0.0), memory.get("VmHWM", 0.0))


def on_cpu(pid: int | None) -> float:
    """Seconds that the threads of a process have run on a CPU, to the nanosecond; 0 for one that is gone."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        return 0.0


def buckets(samples: Mapping[str, float], name: str) -> dict[float, float]:
    """The buckets of a histogram without labels: by upper bound, how many observations are at most that."""
    found = ((re.fullmatch(rf'{name}_bucket{{le="(.+)"}}', key), count) for key, count in samples.items())
    return {float(match[1]): count for match, count in found if match is not None}


async def metrics(url: str) -> Mapping[str, float]:
    """Every sample of a Prometheus exposition: `name{labels}` to value."""

    samples: dict[str, float] = {}
    for line in (await asyncio.to_thread(fetch, f"{url}/metrics")).splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return samples


def fetch(url: str, context: ssl.SSLContext | None = None) -> str:
    """GET a page of a program that we started."""
    with urllib.request.urlopen(url, context=context, timeout=60) as answer:  # noqa: S310 - we made the address
        body: bytes = answer.read()
        return body.decode()


async def events_taken(serve: Serve) -> float:
    """How many events about pods a `spotmix serve` has taken in."""
    return (await metrics(serve.metrics_url))['spotmix_cache_events_total{resource="pods"}']


async def until_rest(serve: Component) -> tuple[float, Usage]:
    """Wait until a process has little to do: when that began (`perf_counter`), and what it had used until then.

    Nothing is asked of it, which would be work for it too.
    """
    while True:
        began, before = time.perf_counter(), usage(serve.pid)
        await asyncio.sleep(REST)
        if usage(serve.pid).cpu - before.cpu < 0.3 * REST:
            return began, before


async def until_taken(serve: Serve, count: float) -> None:
    """Wait until it has taken in that many."""
    while await events_taken(serve) < count:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.01)
