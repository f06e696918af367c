"""A KubeSchedulerConfiguration as a caller gives it, completed with what only the sandbox knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from extender.core.model.errors import SandboxError
from extender.sandbox.components import CLIENT_BURST, CLIENT_QPS
from extender.schedulerconfig.read import API_VERSION, KIND

SchedulerConfig = Mapping[str, Any] | str | None
"""A mapping, YAML text, or None for the stock scheduler. What the caller does not care about is left out."""


def complete(config: SchedulerConfig, kubeconfig: Path, scheduler_name: str | None) -> dict[str, Any]:
    """Return the configuration that kube-scheduler is started with.

    `clientConnection.kubeconfig` is ours and leader election is off whatever the caller says; the client's
    limits are widened unless the caller sets them.

    Args:
        config: what the caller wants.
        kubeconfig: file with the scheduler's identity.
        scheduler_name: `schedulerName` of the one profile when the configuration has no profiles; None keeps
            kube-scheduler's own default.

    Raises:
        SandboxError: the text is not YAML, or not a KubeSchedulerConfiguration.
    """
    given = _parse(config)
    _expect(given, "kind", KIND)
    _expect(given, "apiVersion", API_VERSION)
    client = {
        "qps": CLIENT_QPS,
        "burst": CLIENT_BURST,
        **(given.get("clientConnection") or {}),
        "kubeconfig": str(kubeconfig),
    }
    completed = {
        **given,
        "apiVersion": API_VERSION,
        "kind": KIND,
        "clientConnection": client,
        "leaderElection": {"leaderElect": False},
    }
    if scheduler_name is not None and not given.get("profiles"):
        completed["profiles"] = [{"schedulerName": scheduler_name}]
    return completed


def _parse(config: SchedulerConfig) -> dict[str, Any]:
    if not isinstance(config, str):
        return dict(config or {})
    try:
        parsed = yaml.safe_load(config)
    except yaml.YAMLError as error:
        raise SandboxError(f"the scheduler configuration is not YAML: {error}") from error
    if parsed is not None and not isinstance(parsed, dict):
        raise SandboxError(f"the scheduler configuration is a {type(parsed).__name__}, not a mapping")
    return parsed or {}


def _expect(given: Mapping[str, Any], field: str, value: str) -> None:
    seen = given.get(field, value)
    if seen != value:
        raise SandboxError(f"the scheduler configuration's {field} is {seen!r}; this scheduler reads {value!r}")
