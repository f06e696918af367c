"""How to reach and authenticate to the API server, as the official `kubernetes` package finds it.

The official package is used for this alone: its loader knows kubeconfig files (several in `$KUBECONFIG`,
contexts, inline data, client certificates, token files, exec plugins, OIDC).
Everything here blocks (it reads files and runs exec plugins): call it in a thread. `kubernetes` is imported
on first use: it costs about 17 MiB and 200 ms beside aiohttp, which the service in its pod does without (`incluster`),
and a process without API access too.
"""

import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace
from multidict import CIMultiDict

from extender.core.model.errors import ConfigError
from extender.kube.incluster import HOST, account_namespace, load_pod_account, token_file
from extender.kube.inline import reading, written_out
from extender.kube.overrides import Overrides, impersonation_of

HOME_KUBECONFIG = "~/.kube/config"
_GIVEN = "as given by options"
"""Name of the context that is made of the options, for the official package, which takes contexts alone."""

Stamp = tuple[int, int, int]
"""Time (ns), size and inode of a file; zeros of one that is not there."""


class Connection(Struct, frozen=True, eq=False):
    """One way to talk to the API server; compared by identity, so that users of an old one can tell.

    `base_url` has no trailing slash. `authorization` is the header's value, or empty. `tls` is None for http.
    `server_name` overrides the name in SNI and certificate checks. `proxy` is an http(s) URL, or None. `impersonation`
    are the headers that say whom to act as.
    """

    base_url: str
    authorization: str
    tls: ssl.SSLContext | None
    server_name: str | None
    proxy: str | None
    impersonation: tuple[tuple[str, str], ...] = ()

    def headers(self, more: Mapping[str, str]) -> CIMultiDict[str]:
        """Headers of a request: more of them, who asks, and as whom."""
        sent = CIMultiDict(more)
        if self.authorization:
            sent["Authorization"] = self.authorization
        sent.extend(self.impersonation)
        return sent


class ConnectionSource:
    """Finds the connection: a kubeconfig (argument, `$KUBECONFIG`, `~/.kube/config`), else the pod's account.

    Every method blocks and raises `ConfigError` naming the file, the field and the fix.
    """

    def __init__(
        self,
        kubeconfig: str | None = None,
        context: str | None = None,
        environ: Mapping[str, str] | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._context = context
        self._overrides = overrides or Overrides()
        self._files = self._find(kubeconfig)
        self._configuration: Any = None
        self._connection: Connection | None = None
        self._read: tuple[str, ...] = ()
        self._stamps: tuple[Stamp, ...] = ()
        self._trust = b""

    @property
    def where(self) -> str:
        """What the connection was read from, for texts."""
        return f"kubeconfig {self._files}" if self._files else "the pod's service account"

    def load(self) -> Connection:
        """Read everything anew, running exec plugins: the first time, and when the server refused us or we it."""
        with reading():
            return self._load()

    def _load(self) -> Connection:
        # The loader indexes into whatever YAML it was given: any error means that this is no kubeconfig.
        try:
            configuration = self._kubeconfig() if self._files else load_pod_account(self._environ)
        except Exception as error:
            raise ConfigError(self._explain(error)) from error
        user = self._user() if self._files else {}
        if "exec" in user and not (configuration.api_key or configuration.cert_file):
            command = user["exec"].get("command") if isinstance(user["exec"], dict) else None
            raise ConfigError(
                f"{self.where}: users[].user.exec: the plugin {command!r} gave no credential; run it by hand "
                "to see why (its own error was logged), and check that it is on PATH"
            )
        # Before the files are read again for TLS: what changes in between is noticed the next time.
        trusted = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        token = user.get("tokenFile") if self._files else str(token_file())
        inline = written_out()
        files = (*self._files.split(os.pathsep), *trusted, token)
        self._read = tuple(file for file in files if file and file not in inline)
        self._stamps = tuple(map(_stamp, self._read))
        self._trust = b"".join(map(_digest, filter(None, trusted)))
        self._configuration = configuration
        self._connection = self._build(configuration, user)
        return self._connection

    def refresh(self) -> Connection:
        """Give the connection with an unexpired token: the same object while nothing has changed.

        All files are read again when one of them has changed: CAs, certificates and tokens are exchanged while we run.
        """
        if self._connection is None or tuple(map(_stamp, self._read)) != self._stamps:
            return self._unless_same(self._connection, self._trust, self.load())
        hook = self._configuration.refresh_api_key_hook
        if hook is None:
            return self._connection
        try:
            with reading():
                hook(self._configuration)
        except Exception as error:
            raise ConfigError(self._explain(error)) from error
        authorization = self._configuration.api_key.get("BearerToken", "").strip()
        if authorization != self._connection.authorization:
            self._connection = replace(self._connection, authorization=authorization)
        return self._connection

    def _kubeconfig(self) -> Any:
        """The chosen context of the files, as the official package reads it."""
        from kubernetes import config as untyped  # noqa: PLC0415 - costly, see the module's docstring
        from kubernetes.client import Configuration  # noqa: PLC0415 - likewise

        config: Any = untyped
        # An empty proxy keeps the class from taking one out of the environment without looking at NO_PROXY.
        configuration = Configuration(host="", proxy="")
        if self._overrides.cluster or self._overrides.user:
            context, users = self._chosen()
            # The official package takes a user that is not there for none, who is anonymous.
            if self._overrides.user and self._overrides.user not in users:
                raise ConfigError(f"users[] has no {self._overrides.user!r}")
            merged = config.kube_config.KubeConfigMerger(self._files).config
            merged.value["contexts"].append({"name": _GIVEN, "context": context})
            config.load_kube_config_from_dict(merged, _GIVEN, configuration)
        else:
            config.load_kube_config(self._files, self._context, configuration)
        return configuration

    def _unless_same(self, old: Connection | None, trust: bytes, new: Connection) -> Connection:
        # A new TLS context means new connections: keep the old one while nothing of it has changed.
        if old is not None and (_terms(old), trust) == (_terms(new), self._trust):
            self._connection = old
            return old
        return new

    def _find(self, kubeconfig: str | None) -> str:
        """Kubeconfig paths joined as in `$KUBECONFIG`, or empty for the pod's service account."""
        if kubeconfig:
            if not Path(kubeconfig).expanduser().is_file():
                raise ConfigError(f"kubeconfig {kubeconfig}: no such file; give the path of a kubeconfig")
            return kubeconfig
        if listed := self._environ.get("KUBECONFIG", ""):
            if not any(Path(part).expanduser().is_file() for part in listed.split(os.pathsep) if part):
                raise ConfigError(f"$KUBECONFIG: no file at {listed!r}; correct the variable or unset it")
            return listed
        if Path(HOME_KUBECONFIG).expanduser().is_file():
            return HOME_KUBECONFIG
        if self._environ.get(HOST):
            entries = {"context": self._context, "cluster": self._overrides.cluster, "user": self._overrides.user}
            for entry, name in entries.items():
                if name:
                    raise ConfigError(f"{entry} {name!r}: a pod's service account has none; give a kubeconfig")
            return ""
        raise ConfigError(
            f"no way to reach a cluster: no kubeconfig was given, $KUBECONFIG is empty, {HOME_KUBECONFIG} "
            "does not exist, and this is no pod (KUBERNETES_SERVICE_HOST is empty); give --kubeconfig"
        )

    def _explain(self, error: Exception) -> str:
        detail = str(error) or type(error).__name__
        if not self._files:
            return f"{self.where}: {detail}; mount the token (automountServiceAccountToken: true)"
        context = f", context {self._context!r}" if self._context else ""
        return f"{self.where}{context}: {detail}; check it with `kubectl config view`"

    def namespace(self) -> str:
        """The namespace of the chosen context, or of the pod; `default` where none is named."""
        if self._files:
            return str(self._chosen()[0].get("namespace") or "default")
        return account_namespace() or "default"

    def _user(self) -> Mapping[str, Any]:
        """The `users[].user` entry of the chosen context; the loader does not expose it."""
        context, users = self._chosen()
        user = users.get(context.get("user", ""), {})
        return user if isinstance(user, dict) else {}

    def _chosen(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The `contexts[].context` that is chosen, and all `users[].user` by name."""
        import yaml  # noqa: PLC0415 - comes with the loader

        merged: dict[str, dict[str, Any]] = {"contexts": {}, "users": {}}
        current = ""
        for part in self._files.split(os.pathsep):
            path = Path(part).expanduser()
            if not part or not path.is_file():
                continue
            document = yaml.safe_load(path.read_text()) or {}
            # As the loader merges: the first definition of a name wins, the last current-context.
            current = document.get("current-context", current)
            for key, names in merged.items():
                for item in document.get(key) or ():
                    names.setdefault(item["name"], item.get(key[:-1]) or {})
        return self._overrides.context(merged["contexts"].get(self._context or current, {})), merged["users"]

    def _build(self, configuration: Any, user: Mapping[str, Any]) -> Connection:
        base_url = configuration.host.rstrip("/")
        url = urlsplit(base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ConfigError(
                f"{self.where}: clusters[].cluster.server is {configuration.host!r}; "
                "it must be an https:// or http:// URL"
            )
        proxy = configuration.proxy or _environment_proxy(url.scheme, url.hostname, url.netloc)
        if proxy and urlsplit(proxy).scheme not in {"http", "https"}:
            raise ConfigError(
                f"{self.where}: proxy-url is {proxy!r}; only http:// and https:// proxies are supported, "
                "unset it or choose such a proxy"
            )
        try:
            impersonation = self._overrides.impersonation.over(impersonation_of(user)).headers()
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {error}") from error
        return Connection(
            base_url=base_url,
            authorization=configuration.api_key.get("BearerToken", "").strip(),
            tls=self._tls(configuration) if url.scheme == "https" else None,
            server_name=configuration.tls_server_name or None,
            proxy=proxy or None,
            impersonation=impersonation,
        )

    def _tls(self, configuration: Any) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{self.where}: certificate-authority {configuration.ssl_ca_cert} is no PEM certificate "
                f"bundle ({error}); put the cluster's CA there"
            ) from error
        # Python 3.13 turned this on; the CAs of many clusters lack the authority key identifier it asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if configuration.cert_file:
            try:
                context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"{self.where}: users[].user.client-certificate {configuration.cert_file} and client-key "
                    f"{configuration.key_file} do not load ({error}); both must be PEM and belong together"
                ) from error
        return context


def _terms(connection: Connection) -> tuple[object, ...]:
    """All of it but the TLS context."""
    return (
        *(connection.base_url, connection.authorization, connection.server_name),
        *(connection.proxy, connection.impersonation),
    )


def _stamp(file: str) -> Stamp:
    """What tells that a file has changed; mounted Secrets are symlinks that are swapped, so the inode tells too."""
    try:
        stat = Path(file).expanduser().stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _digest(file: str) -> bytes:
    try:
        return sha256(Path(file).read_bytes()).digest()
    except OSError:
        return b""


def _environment_proxy(scheme: str, host: str, netloc: str) -> str:
    """The proxy of the environment, with Go's rule that loopback is never proxied."""
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    return "" if proxy and urllib.request.proxy_bypass(netloc) else proxy


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
