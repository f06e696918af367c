"""Merging flags, environment, file and defaults: see the package's docstring."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from extender.core.model.errors import ConfigError
from extender.core.placement.tolerations import parse_taint
from extender.core.policy.policy import Layer, Policy, parse_policy
from extender.core.policy.protection import workload_opt_out
from extender.core.policy.values import parse_duration
from extender.settings.checks import check_together
from extender.settings.leaves import LEAVES, Leaf
from extender.settings.sections import Settings
from extender.settings.values import ADDRESS, BOOLEAN, DURATION

API_VERSION = "spotmix.io/v1alpha1"
KIND = "SpotmixConfiguration"

# Switches of the sandbox and of commands, and what a kubelet sets in every pod for Services named spotmix..
_NOT_OURS = re.compile(
    r"SPOTMIX_(SANDBOX_.*|SERVER(_.*)?|(.*_)?SERVICE_(HOST|PORT.*)|(.*_)?PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)$"
)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _from_text(leaf: Leaf, text: str, origin: str) -> Any:
    """The value of a flag or environment variable."""
    if leaf.type is str or (leaf.choices and leaf.kind is not BOOLEAN):
        value: Any = text
    else:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{origin}: {text!r} is not YAML: {error}; write {leaf.looks}") from error
    tree: dict[str, Any] = {}
    _put(tree, leaf.path, value)
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        # Where the fault is, is said already, unless it is within a map or list.
        why = str(error).removesuffix(f" - at `$.{leaf.key}`")
        raise ConfigError(f"{origin}: {text!r} is wrong: {why}; write {leaf.looks}") from error
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
        leaf = next((leaf for leaf in LEAVES if str(error).endswith(f" - at `$.{leaf.key}`")), None)
        seen = f"{_value_at(tree, leaf.path)!r} is wrong: " if leaf else ""
        fix = f"; write {leaf.looks}" if leaf else ""
        raise ConfigError(f"{origin}: {seen}{error}{fix}") from error
    _check_values(settings, origin)
    return settings


def _check_values(settings: Settings, origin: str) -> None:
    """Check what a type does not say, each setting for itself."""
    tree = msgspec.to_builtins(settings)
    for leaf in LEAVES:
        if leaf.kind is DURATION:
            _check_duration(origin, leaf, _value_at(tree, leaf.path))
        elif leaf.kind is ADDRESS:
            try:
                split_address(_value_at(tree, leaf.path))
            except ValueError as error:
                raise ConfigError(f"{origin}: {leaf.key}: {error}") from error
    _check_taints(settings, origin)
    settings.policy.namespace_selector.check(f"{origin}: policy.namespaceSelector")
    layer = Layer(f"{origin}: policy.defaults", default_annotations(settings))
    prefixes = settings.policy.prefixes
    _, unclear = workload_opt_out([layer], prefixes)
    problems = [*parse_policy([layer], prefixes, settings.classes.names).problems, *([unclear] if unclear else [])]
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
    """`policy.defaults`, and settings that workloads override, as the annotations of a workload would have them."""
    prefix = settings.policy.prefixes[0]
    defaults = dict(settings.policy.defaults)
    if settings.drift.max_moves_per_hour != Policy().max_moves_per_hour:
        defaults.setdefault("max-moves-per-hour", settings.drift.max_moves_per_hour)
    if settings.placement.enforcement != Policy().enforcement:
        defaults.setdefault("enforcement", settings.placement.enforcement)
    return {f"{prefix}/{key}": str(value) for key, value in defaults.items()}


def _value_at(tree: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _check_duration(origin: str, leaf: Leaf, value: str) -> None:
    try:
        parse_duration(value)
    except ValueError as error:
        raise ConfigError(f"{origin}: {leaf.key}={value!r} {error.args[0]}; {error.args[1]}") from error


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
