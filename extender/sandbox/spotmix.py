"""`spotmix serve` as a component of the sandbox, and the scheduler configuration that attaches it."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from extender.sandbox.controlplane import ADMIN_GROUP, ControlPlane
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.probes import http_probe
from extender.sandbox.process import Component
from extender.schedulerconfig.read import Stanza


def scheduler_config(
    url: str, profiles: Sequence[Mapping[str, Any]] = (), weight: int = 0, **extender: Any
) -> dict[str, Any]:
    """A KubeSchedulerConfiguration with an extender at `url`; `extender` overrides fields of its stanza."""
    stanza = {**Stanza(url_prefix=url, weight=weight).entry(), **extender}
    return {"extenders": [stanza], **({"profiles": list(profiles)} if profiles else {})}


class SpotmixServe(Component):
    """A `spotmix serve` of this installation, on loopback ports that it keeps over restarts.

    Attributes:
        url: the `urlPrefix` of the extender.
        metrics_url: base address of /livez, /readyz and /metrics.
        api_target: host:port of the gRPC API.
    """

    metrics_url: str
    api_target: str

    def __init__(
        self, plane: ControlPlane, *flags: str, name: str = "spotmix", user: str = "", ca: str = "", **env: str
    ) -> None:
        """Describe the process; `start` starts it and returns once it is ready.

        Args:
            plane: a running control plane.
            flags: further flags of `spotmix serve`.
            name: what it and its log file are called.
            user: whom it is to the API server; empty is a user with all rights.
            ca: PEM file of the CA of its metrics' certificate, if the flags name one.
            env: further environment variables.
        """
        extender, metrics, api = free_port(), free_port(), free_port()
        self.metrics_url = f"{'https' if ca else 'http'}://{LOOPBACK}:{metrics}"
        self.api_target = f"{LOOPBACK}:{api}"
        kubeconfig = plane.write_kubeconfig(user or "spotmix", () if user else (ADMIN_GROUP,))
        super().__init__(
            name,
            [
                sys.executable,
                *("-m", "extender", "serve", "--kubeconfig", str(kubeconfig)),
                *("--extender-addr", f"{LOOPBACK}:{extender}", "--metrics-addr", f"{LOOPBACK}:{metrics}"),
                *("--api-addr", self.api_target),
                *flags,
            ],
            directory=plane.directory,
            probe=http_probe(f"{self.metrics_url}/readyz", ca),
            env={**os.environ, **env},
            url=f"http://{LOOPBACK}:{extender}/scheduler",
        )
