"""Every setting's flag and environment variable, and merging them with the file: see the package's docstring."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Struct

from extender.core.admission.mutate import parse_taint
from extender.core.model.errors import ConfigError
from extender.core.policy.policy import Layer, Policy, parse_duration, parse_policy
from extender.core.policy.protection import workload_opt_out
from extender.settings.checks import check_together
from extender.settings.sections import Section, Settings

API_VERSION = "spotmix.io/v1alpha1"
KIND = "SpotmixConfiguration"

# Switches of the sandbox and of commands, and what a kubelet sets in every pod for Services named spotmix..
_NOT_OURS = re.compile(
    r"SPOTMIX_(SANDBOX_.*|SERVER(_.*)?|(.*_)?SERVICE_(HOST|PORT.*)|(.*_)?PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)$"
)


class Leaf(Struct, frozen=True):
    """One setting: `path` in the file, flag, environment variable, type, default and effect."""

    path: tuple[str, ...]
    flag: str
    env: str
    type: Any
    default: Any
    text: str
    duration: bool


def _kebab(name: str) -> str:
    return "".join("-" + c.lower() if c.isupper() else c for c in name)


def _leaves(struct: type[Struct], path: tuple[str, ...]) -> Iterator[Leaf]:
    hints = get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        hint, metas = hints[info.name], []
        if get_origin(hint) is Annotated:
            hint, *metas = get_args(hint)
        here = (*path, info.encode_name)
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _leaves(hint, here)
            continue
        extra = {k: v for m in metas if m.extra for k, v in m.extra.items()}
        default = info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
        yield Leaf(
            here,
            "--" + extra.get("flag", "-".join(_kebab(part) for part in here)),
            "SPOTMIX_" + "_".join(_kebab(part).replace("-", "_").upper() for part in here),
            hint,
            default,
            next((m.description for m in metas if m.description), ""),
            extra.get("unit") == "duration",
        )


LEAVES: tuple[Leaf, ...] = tuple(_leaves(Settings, ()))


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _from_text(leaf: Leaf, text: str, origin: str) -> Any:
    """The value of a flag or environment variable."""
    if leaf.type is str or get_origin(leaf.type) is Literal:
        value: Any = text
    else:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{origin}: {text!r} is not YAML: {error}") from error
    tree: dict[str, Any] = {}
    _put(tree, leaf.path, value)
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {text!r} is wrong: {error}; {leaf.text}") from error
    _check_values(settings, origin)
    return value


def _read_file(path: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration file {path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path}: is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"configuration file {path}: is no mapping; start with apiVersion: {API_VERSION}")
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        seen = tree.pop(key, None)
        if seen != wanted:
            raise ConfigError(f"configuration file {path}: {key} is {seen!r}; write {key}: {wanted}")
    return tree


def load_settings(
    file: str = "",
    flags: Mapping[tuple[str, ...], str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Merge flags, environment, file and defaults.

    Args:
        file: the YAML file; empty takes `SPOTMIX_CONFIG`, if set.
        flags: values by `Leaf.path`, as written on the command line.
        environ: the environment; the process's own when None.

    Raises:
        ConfigError: names the flag, variable or file, the key and the value seen.
    """
    environ = os.environ if environ is None else environ
    flags = flags or {}
    file = file or environ.get("SPOTMIX_CONFIG", "")
    tree: dict[str, Any] = {}
    if file:
        # Checked alone first, so that a fault is told of the file and not of what overrides it.
        tree = msgspec.to_builtins(_convert(_read_file(file), f"configuration file {file}"))
    known = {leaf.env for leaf in LEAVES} | {"SPOTMIX_CONFIG"}
    for name in environ:
        if name.startswith("SPOTMIX_") and name not in known and not _NOT_OURS.match(name):
            raise ConfigError(f"environment variable {name} is no setting; `spotmix config show --help` lists them")
    for leaf in LEAVES:
        if leaf.path in flags:
            _put(tree, leaf.path, _from_text(leaf, flags[leaf.path], f"flag {leaf.flag}"))
        elif leaf.env in environ:
            _put(tree, leaf.path, _from_text(leaf, environ[leaf.env], f"environment variable {leaf.env}"))
    settings = _convert(tree, "configuration")
    check_together(settings)
    return settings


def _convert(tree: dict[str, Any], origin: str) -> Settings:
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {error}") from error
    _check_values(settings, origin)
    return settings


def _check_values(settings: Settings, origin: str) -> None:
    """Check what a type does not say, each setting for itself."""
    for leaf in LEAVES:
        if leaf.duration:
            _check_duration(origin, leaf, settings)
    for name, address in (
        ("extender.addr", settings.extender.addr),
        ("metrics.addr", settings.metrics.addr),
        ("webhook.addr", settings.webhook.addr),
        ("api.addr", settings.api.addr),
    ):
        try:
            split_address(address)
        except ValueError as error:
            raise ConfigError(f"{origin}: {name}: {error}") from error
    _check_taints(settings, origin)
    layer = Layer(f"{origin}: policy.defaults", default_annotations(settings))
    prefixes = settings.policy.prefixes
    _, unclear = workload_opt_out([layer], prefixes)
    problems = [*parse_policy([layer], prefixes).problems, *([unclear] if unclear else [])]
    if problems:
        raise ConfigError("; ".join(problem.text for problem in problems))


def _check_taints(settings: Settings, origin: str) -> None:
    name = f"{origin}: webhook.extraSpotTaints"
    for text in settings.webhook.extra_spot_taints:
        try:
            taint = parse_taint(text)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from error
        if taint.key in settings.classes.going_away_keys:
            raise ConfigError(f"{name}: {text!r} says that a node is going away; pods must not tolerate it")


def default_annotations(settings: Settings) -> dict[str, str]:
    """`policy.defaults`, and `drift.maxMovesPerHour`, as the annotations of a workload would have them."""
    prefix = settings.policy.prefixes[0]
    defaults = dict(settings.policy.defaults)
    if settings.drift.max_moves_per_hour != Policy().max_moves_per_hour:
        defaults.setdefault("max-moves-per-hour", settings.drift.max_moves_per_hour)
    return {f"{prefix}/{key}": str(value) for key, value in defaults.items()}


def _check_duration(origin: str, leaf: Leaf, settings: Settings) -> None:
    value: Any = msgspec.to_builtins(settings)
    for part in leaf.path:
        value = value[part]
    try:
        parse_duration(value)
    except ValueError as error:
        raise ConfigError(f"{origin}: {'.'.join(leaf.path)}={value!r} {error.args[0]}; {error.args[1]}") from error


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `:port` or `[v6]:port`.

    Raises:
        ValueError: it is none; the text says what to write.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is no address; write host:port, such as 0.0.0.0:8888")
    return host.strip("[]") or "0.0.0.0", int(port)


def render_settings(settings: Settings) -> str:
    """The configuration as a YAML file that `load_settings` reads back."""
    tree = {"apiVersion": API_VERSION, "kind": KIND, **msgspec.to_builtins(settings)}
    return yaml.safe_dump(tree, sort_keys=False, width=110)


def settings_of(tree: dict[str, Any], origin: str) -> Settings:
    """The settings that another file has among its own: sections as in the configuration file.

    Raises:
        ConfigError: names `origin`, the key and the value seen.
    """
    return _convert(tree, origin)
