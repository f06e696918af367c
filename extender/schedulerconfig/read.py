"""A KubeSchedulerConfiguration as text: its extenders, and which of them is ours.

Facts are from the Kubernetes 1.36 source: `k8s.io/kube-scheduler/config/v1/types.go` (fields),
`pkg/scheduler/extender.go` (what they do) and `apis/config/validation` (what is refused).
"""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from extender.schedulerconfig.yamltree import YamlNode, documents, expect_json, fault

GROUP = "kubescheduler.config.k8s.io"
API_VERSION = f"{GROUP}/v1"
KIND = "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER = "default-scheduler"

_MENTIONED = re.compile(rf"kind[\"']?\s*:\s*([&!]\S{{1,99}}\s+){{0,2}}[\"']?{KIND}")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_DURATION = re.compile(r"[-+]?((\d{1,19}(\.\d{0,19})?|\.\d{1,19})(ns|us|µs|μs|ms|s|m|h)){1,9}$", re.ASCII)
_PART = re.compile(r"(\d[\d.]*|\.\d+)([a-zµμ]+)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

PRIORITIZE = "prioritize"
SCORING = ("prioritizeVerb", "weight")
"""The fields by which the scheduler asks for scores."""

MAX_EXTENDERS = 500
FIELDS: Mapping[str, type] = {
    "urlPrefix": str,
    "filterVerb": str,
    "preemptVerb": str,
    "prioritizeVerb": str,
    "weight": int,
    "bindVerb": str,
    "enableHTTPS": bool,
    "tlsConfig": dict,
    "httpTimeout": str,
    "nodeCacheCapable": bool,
    "managedResources": list,
    "ignorable": bool,
}
"""The fields of an extender and what they hold."""
_WANTED = {str: "text", int: "a whole number", bool: "true or false", dict: "a mapping", list: "a list"}


class Stanza(Struct, frozen=True, kw_only=True):
    """What our entry in `extenders` says; see docs/reference/scheduler-config.md for why.

    Attributes:
        url_prefix: address the verbs are appended to, as the scheduler's machine reaches it.
        filter_verb: path of filter.
        weight: what our scores of 0 to 10 are multiplied by, and by 10 again; 0 asks for none.
        node_cache_capable: the scheduler sends node names instead of nodes.
        http_timeout: Go duration of a whole request.
        ignorable: pods are placed without us while we do not answer.
        enable_https: verify us by the CA below.
        ca_file: PEM file, on the scheduler's machine, of the CA that signed our certificate.
        ca_data: the same as PEM bytes; it wins over the file.
        cert_file: PEM file of the scheduler's client certificate.
        key_file: PEM file of its key.
        server_name: name in our certificate, when it is not the host of `url_prefix`.
    """

    url_prefix: str
    filter_verb: str = "filter"
    weight: int = 0
    node_cache_capable: bool = True
    http_timeout: str = "5s"
    ignorable: bool = False
    enable_https: bool = False
    ca_file: str = ""
    ca_data: bytes = b""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""

    def entry(self) -> dict[str, Any]:
        """The entry of `extenders`; what is off and has no value is left out of it."""
        entry: dict[str, Any] = {
            "urlPrefix": self.url_prefix,
            "filterVerb": self.filter_verb,
            **({"prioritizeVerb": PRIORITIZE, "weight": self.weight} if self.weight else {}),
            "nodeCacheCapable": self.node_cache_capable,
            "httpTimeout": self.http_timeout,
            "ignorable": self.ignorable,
        }
        if self.enable_https:
            tls = {
                "caFile": "" if self.ca_data else self.ca_file,
                "caData": base64.b64encode(self.ca_data).decode(),
                "certFile": self.cert_file,
                "keyFile": self.key_file,
                "serverName": self.server_name,
            }
            entry |= {"enableHTTPS": True, "tlsConfig": {key: value for key, value in tls.items() if value}}
        return entry


def mentions(text: str) -> bool:
    """Whether a text names a KubeSchedulerConfiguration; one that does not is none."""
    return _MENTIONED.search(text) is not None


def read(text: str) -> tuple[list[YamlNode], list[YamlNode]]:
    """The documents of a text without byte order mark, and those of them that are a configuration.

    A text that names no KubeSchedulerConfiguration is not parsed, whatever it is, and has none of either.

    Raises:
        WireError: the text is invalid, or a configuration is; see `is_configuration`.
    """
    if not mentions(text):
        return [], []
    roots = documents(text)
    known = [root for root in roots if is_configuration(root)]
    if known:
        expect_json(text)
    return roots, known


def is_configuration(root: YamlNode) -> bool:
    """Whether a document is a KubeSchedulerConfiguration of v1, with extenders of the right types.

    Raises:
        WireError: it is of another version, or its extenders are invalid.
    """
    kind, version = root.find("kind"), root.find("apiVersion")
    if root.kind != "mapping" or kind is None or kind.scalar != KIND:
        return False
    fix = f"write apiVersion: {API_VERSION}"
    if version is None:
        raise fault(kind, "apiVersion", f"is missing; {fix}")
    name = version.scalar
    if isinstance(name, str) and not name.startswith(GROUP + "/") and name != GROUP:
        return False
    if name != API_VERSION:
        older = "; Kubernetes 1.29 and later read v1 only" if isinstance(name, str) and "beta" in name else ""
        raise fault(version, "apiVersion", f"is {version.seen}{older}; {fix}, and check the other fields against it")
    for index, entry in enumerate(entries(root)):
        _expect_types(entry, f"extenders[{index}]")
    return True


def entries(root: YamlNode) -> list[YamlNode]:
    """The entries of `extenders`.

    Raises:
        WireError: it is no list of mappings.
    """
    extenders = root.find("extenders")
    if extenders is None or (extenders.kind == "scalar" and extenders.scalar is None):
        return []
    if extenders.kind != "sequence":
        raise fault(extenders, "extenders", f"is {extenders.seen}; write a list, such as - urlPrefix: http://host/path")
    if len(extenders.items) > MAX_EXTENDERS:
        raise fault(
            extenders, "extenders", f"has {len(extenders.items)} entries; no more than {MAX_EXTENDERS} are read"
        )
    for index, item in enumerate(extenders.items):
        if item.target.kind != "mapping":
            what = f"is {item.seen}; write a mapping that starts with urlPrefix, or remove it"
            raise fault(item, f"extenders[{index}]", what)
    return [item.target for item in extenders.items]


def _expect_types(entry: YamlNode, path: str) -> None:
    for field, wanted in FIELDS.items():
        node = entry.find(field)
        if node is None or (node.kind == "scalar" and node.scalar is None):
            continue
        scalar = node.scalar
        fits = {
            dict: node.kind == "mapping",
            list: node.kind == "sequence",
            int: type(scalar) is int or (isinstance(scalar, float) and scalar.is_integer()),
        }.get(wanted, type(scalar) is wanted)
        if not fits:
            raise fault(node, f"{path}.{field}", f"is {node.seen}; write {_WANTED[wanted]}")
    timeout = entry.find("httpTimeout")
    if timeout is not None and isinstance(text := timeout.scalar, str) and go_seconds(text) is None:
        raise fault(timeout, f"{path}.httpTimeout", f'is {timeout.seen}; write a duration, such as "5s"')


def go_seconds(text: str) -> float | None:
    """Seconds of a Go duration such as `1m30s` or `500ms`; None when the text is none."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _DURATION.match(text):
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds


def ours(entry: YamlNode, stanza: Stanza) -> bool:
    """Whether an entry of `extenders` is ours, though it may say something else than the stanza.

    It is when its path and the stanza's are the same, and

    * so are host and port (all names of loopback count as one), whatever else it says; or
    * its verbs are ours, it has no verb that we lack, and its host is a loopback one or has `spotmix` in its name:
      our address has changed.

    Other extenders may well use our path and verbs at addresses of their own, so that alone says nothing.
    """
    mine, theirs = _address(stanza.url_prefix), _address(text_of(entry, "urlPrefix"))
    if mine is None or theirs is None or _path(mine) != _path(theirs):
        return False
    if _place(mine) == _place(theirs):
        return True
    host = theirs.hostname or ""
    return (host in _LOOPBACK or "spotmix" in host) and alike(entry, stanza)


def alike(entry: YamlNode, stanza: Stanza) -> bool:
    """Whether an entry has our path and verbs and none that we lack: ours at another address, or much like it."""
    mine, theirs = _address(stanza.url_prefix), _address(text_of(entry, "urlPrefix"))
    return (
        mine is not None
        and theirs is not None
        and _path(mine) == _path(theirs)
        and text_of(entry, "filterVerb") == stanza.filter_verb
        and text_of(entry, "prioritizeVerb") in {PRIORITIZE, ""}
        and not text_of(entry, "bindVerb")
        and not text_of(entry, "preemptVerb")
    )


def text_of(entry: YamlNode, field: str) -> str:
    """The text of a mapping's field; empty when it is missing or no text."""
    node = entry.find(field)
    value = node.scalar if node is not None else None
    return value if isinstance(value, str) else ""


def _address(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        known = parts.hostname is not None and parts.port != 0
    except ValueError:
        return None
    return parts if known else None


def _path(url: SplitResult) -> str:
    return url.path.rstrip("/")


def _place(url: SplitResult) -> tuple[str, int]:
    host = url.hostname or ""
    return "loopback" if host in _LOOPBACK else host, url.port or (443 if url.scheme == "https" else 80)


def own_entry(root: YamlNode, stanza: Stanza) -> tuple[int, YamlNode] | None:
    """Index and node of our entry; the one at our very address wins over one that has to be told by its looks."""
    found = [(index, entry) for index, entry in enumerate(entries(root)) if ours(entry, stanza)]
    mine = _address(stanza.url_prefix)

    def elsewhere(entry: YamlNode) -> bool:
        theirs = _address(text_of(entry, "urlPrefix"))
        return mine is None or theirs is None or _place(mine) != _place(theirs)

    return min(found, key=lambda pair: (elsewhere(pair[1]), pair[0]), default=None)
