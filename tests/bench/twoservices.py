"""From nothing to two services that are Ready on the split of one policy, and the memory that Spotmix takes for it.

`spotmix sandbox up` is started as a user would; it is given the definitions of policy objects and the example
`docs/how-to/examples/two-services` by plain kubectl. Its own process has the kubelet of all simulated nodes in it; the
service is its child. Kubernetes' own programs are not counted.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from programs import kubectl
from support.policyobjects import definitions

from bench.programs import ROOT, environment, output_of, scratch, usage
from bench.report import Bench

NAME = "two-services"
EXAMPLE = ROOT / "docs" / "how-to" / "examples" / "two-services"
POLICY = "placementpolicy/two-services"
CONVERGED = ("wait", "--for=condition=Converged", POLICY, "--timeout=180s")
REST = 10.0
EXPORT = "export KUBECONFIG="


@asynccontextmanager
async def _sandbox(folder: Path) -> AsyncIterator[tuple[int, str]]:
    """A sandbox that is up: its process, and its kubeconfig."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "extender", "sandbox", "up"),
        env={**environment(), "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        kubeconfig = ""
        async for line in process.stdout:
            text = line.decode().strip()
            kubeconfig = text.removeprefix(EXPORT) if text.startswith(EXPORT) else kubeconfig
            if text.startswith("Ctrl-C"):
                break
        if not kubeconfig:
            raise RuntimeError("spotmix sandbox up ended before it was up")
        yield process.pid, kubeconfig
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _service(parent: int) -> int:
    """The process of `spotmix serve` that a sandbox has started.

    Raises:
        RuntimeError: there is none.
    """
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and _is_service(each, parent):
            return int(each.name)
    raise RuntimeError(f"process {parent} has no child that serves")


def _is_service(process: Path, parent: int) -> bool:
    try:
        stat = (process / "stat").read_text()
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return int(stat.rpartition(")")[2].split()[1]) == parent and b"serve" in command


async def run(bench: Bench) -> None:
    """Measure and report."""
    with scratch() as folder:
        where = Path(folder)
        began = time.perf_counter()
        async with _sandbox(where) as (pid, kubeconfig):
            up = time.perf_counter() - began
            service = _service(pid)

            async def ask(*arguments: str) -> bytes:
                given = ("--kubeconfig", kubeconfig, "--cache-dir", str(where / "kubectl"))
                return await output_of("kubectl", str(kubectl()), *given, *arguments)

            crds = where / "definitions.json"
            crds.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": definitions()}))
            await ask("apply", "--server-side", "-f", str(crds))
            await ask("wait", "--for=condition=Established", "-f", str(crds), "--timeout=60s")
            in_namespace = ("-n", "two-services")
            began = time.perf_counter()
            await ask("apply", "-f", str(EXAMPLE / "namespace.yaml"))
            await ask("apply", *in_namespace, "-f", str(EXAMPLE / "policy.yaml"))
            # With the chart the definitions are there before the service; here it has to come upon them.
            await ask(*CONVERGED, *in_namespace)
            found_after = time.perf_counter() - began
            before = usage(service).rss
            began = time.perf_counter()
            await ask("apply", "-k", str(EXAMPLE))
            await ask("wait", "--for=condition=Available", "deployment", "--all", *in_namespace, "--timeout=120s")
            available = time.perf_counter() - began
            await ask("wait", "--for=jsonpath={.status.actual}=2/2", POLICY, *in_namespace, "--timeout=180s")
            await ask(*CONVERGED, *in_namespace)
            converged = time.perf_counter() - began
            await asyncio.sleep(REST)
            sizes = {"spotmix serve": usage(service), "spotmix sandbox up, with its kubelet": usage(pid)}
            found: list[Any] = json.loads(await ask("get", "pods", *in_namespace, "-o", "json"))["items"]
    homes = sorted(f"{each['metadata']['labels']['app.kubernetes.io/name']} {_class_of(each)}" for each in found)
    bench.add(NAME, "spotmix sandbox up until it is up", "sandbox", up, "s")
    bench.add(NAME, "kubectl apply until all are Ready", "both services", available, "s", note=", ".join(homes))
    bench.add(NAME, "kubectl apply until the policy says 2/2 and Converged", "both services", converged, "s")
    bench.add(NAME, "definitions until a policy has a status", "spotmix serve", found_after, "s")
    for who, each in sizes.items():
        note = f"before the services {before:.0f}" if who == "spotmix serve" else ""
        bench.add(NAME, f"resident memory, {REST:.0f} s later", who, each.rss, "MB", note=note)
    bench.add(NAME, f"resident memory, {REST:.0f} s later", "both", sum(each.rss for each in sizes.values()), "MB")


def _class_of(pod: dict[str, Any]) -> str:
    name = str(pod["spec"].get("nodeName", ""))
    return "spot" if name.startswith("spot") else name.rpartition("-")[0] or "nowhere"
