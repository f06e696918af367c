"""Who this process is: the pod it runs in, as the downward API and the service account tell it."""

import os
import socket

import extender
from extender.core.model.errors import ConfigError
from extender.kube.incluster import own_namespace


def needed_namespace(what: str, fix: str) -> str:
    """The namespace this process runs in.

    Args:
        what: the setting that needs it.
        fix: what to do when it is not known, beside setting `$POD_NAMESPACE`.

    Raises:
        ConfigError: it is not known.
    """
    for namespace in own_namespace():
        return namespace
    raise ConfigError(f"{what} needs the own namespace, and this is no pod: set POD_NAMESPACE{fix}")


def pod_name() -> str:
    """`$POD_NAME`; empty outside of a pod."""
    return os.environ.get("POD_NAME", "")


def identity() -> str:
    """A name for this process that no other has at the same time."""
    return pod_name() or f"{socket.gethostname()}_{os.getpid()}"


def service_attributes() -> dict[str, str]:
    """This process as OpenTelemetry's semantic conventions describe a service."""
    return {
        "service.name": "spotmix",
        "service.version": extender.__version__,
        "service.instance.id": identity(),
        "k8s.pod.name": pod_name(),
        "k8s.namespace.name": next(iter(own_namespace()), ""),
    }
