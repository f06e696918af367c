"""What settings are declared with: the kinds of their values, effects and limits."""

from typing import Any, Literal, get_args, get_origin

from msgspec import Meta, Struct


class Kind(Struct, frozen=True):
    """A kind of value.

    Attributes:
        metavar: the word that stands for a value, as in `--drift-dwell DURATION`.
        looks: what to write, as it follows "write ..".
    """

    metavar: str
    looks: str


ADDRESS = Kind("HOST:PORT", "an address, such as 0.0.0.0:8888, or :8888 for all interfaces")
BOOLEAN = Kind("true|false", "true or false")
BYTES = Kind("BYTES", "a whole number of bytes, such as 1048576")
CHOICE = Kind("CHOICE", "one of the words")
CONTEXT = Kind("CONTEXT", "the name of a context of the kubeconfig")
COUNT = Kind("COUNT", "a whole number")
DURATION = Kind("DURATION", "hours, minutes and seconds, such as 30s, 5m or 1h30m")
FILE = Kind("FILE", "the path of a file")
HOST = Kind("HOST", "a host name")
IDENTITY = Kind("ID", "a text that no other replica has")
IMAGE = Kind("IMAGE", "the name of a container image, such as registry.k8s.io/pause:3.10")
IPS = Kind("IPS", "a YAML list of IP addresses, such as '[10.0.0.1, \"fd00::1\"]'")
MAP = Kind("MAP", "a YAML map, such as '{key: value}'")
NAME = Kind("NAME", "the name of a Kubernetes object: lower-case letters, digits, - and .")
NAMES = Kind("NAMES", "a YAML list of names, such as '[one, two]'")
NUMBER = Kind("NUMBER", "a number, such as 50 or 0.5")
PATH = Kind("PATH", "the path of a URL, such as /scheduler")
PEM = Kind("PEM", "a certificate as PEM, or the base64 of it")
PERCENT = Kind("PERCENT", "a whole number without the sign %")
TAINTS = Kind("TAINTS", "a YAML list of key=value:effect or key:effect, such as '[spot=true:NoSchedule]'")
URL = Kind("URL", "an address such as https://HOST:PORT/PATH")
WEIGHT = Kind("WEIGHT", "a whole number")

_OF_TYPES = {bool: BOOLEAN, int: COUNT, float: NUMBER}


def kind_of(type_: Any) -> Kind:
    """The kind of a setting that declares none: that of its type.

    Raises:
        TypeError: the type alone does not say; texts have to declare a kind.
    """
    if get_origin(type_) is Literal:
        return CHOICE
    if get_origin(type_) is tuple:
        return NAMES
    if get_origin(type_) is dict or (isinstance(type_, type) and issubclass(type_, Struct)):
        return MAP
    if type_ not in _OF_TYPES:
        raise TypeError(f"a setting of type {type_} has to declare its kind: see extender.settings.values")
    return _OF_TYPES[type_]


def choices_of(type_: Any) -> tuple[str, ...]:
    """The words to choose from; none where any value of the kind will do."""
    if type_ is bool:
        return ("true", "false")
    return get_args(type_) if get_origin(type_) is Literal else ()


def limits_of(metas: list[Meta]) -> str:
    """From where to where a number may be, for people; empty where there are no limits."""
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    above = next((meta.gt for meta in metas if meta.gt is not None), None)
    if above is not None:
        return f"above {above:g}"
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"{low} to {high}"


def doc(text: str, kind: Kind | None = None, flag: str = "") -> Any:
    """The effect of a setting, what its value looks like where the type does not say, and its flag if not the usual."""
    return Meta(description=text, extra={**({"kind": kind} if kind else {}), **({"flag": flag} if flag else {})})


def duration(text: str) -> Any:
    """The effect of a setting that is a duration."""
    return doc(text, DURATION)


RELOADED = Meta(extra={"reloads": True})
"""Of a setting that `spotmix serve` takes up while it runs; all others need a restart."""
IN_PERCENT = Meta(ge=0, le=100)
DNS_NAME = Meta(pattern="^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$")
"""The name of a Kubernetes object, or none."""
SOME_DNS_NAME = Meta(min_length=1, pattern=DNS_NAME.pattern)


class Section(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A section of the file."""
