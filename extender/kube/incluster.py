"""The API server as a pod of the cluster reaches it: by the service account that the kubelet mounts.

As https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ has it, and the official packages read it. It
is read here because the official package costs 17 MiB on import, which the service in its pod does without.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from extender.core.model.errors import ConfigError

HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class PodAccount(Struct, frozen=True):
    """What a pod connects with. The fields are those of the official package's `Configuration`."""

    host: str
    ssl_ca_cert: str
    api_key: Mapping[str, str]
    verify_ssl: bool = True
    cert_file: str | None = None
    key_file: str | None = None
    tls_server_name: str | None = None
    proxy: str | None = None
    refresh_api_key_hook: None = None


def token_file() -> Path:
    """Where the kubelet puts the token; it exchanges the file before the token expires."""
    return ACCOUNT / "token"


def account_namespace() -> str:
    """The namespace of this pod; empty where this is none."""
    try:
        return (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def own_namespace() -> tuple[str, ...]:
    """The namespace this process runs in, when it runs in a pod: `$POD_NAMESPACE`, else the service account's."""
    named = os.environ.get("POD_NAMESPACE", "") or account_namespace()
    return (named,) if named else ()


def load_pod_account(environ: Mapping[str, str] = os.environ) -> PodAccount:
    """Read the service account of this pod.

    Raises:
        ConfigError: a variable or a file is missing or empty; the text names it.
    """
    host, port = environ.get(HOST, ""), environ.get(PORT, "")
    if not host or not port:
        raise ConfigError(f"${HOST} is {host!r} and ${PORT} is {port!r}; the kubelet sets both in every pod")
    bracketed = f"[{host}]" if ":" in host else host
    authority = ACCOUNT / "ca.crt"
    _text(authority)
    return PodAccount(f"https://{bracketed}:{port}", str(authority), {"BearerToken": f"Bearer {_text(token_file())}"})


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not text:
        raise ConfigError(f"{file} is empty")
    return text
