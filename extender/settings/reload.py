"""What a running process takes up of a configuration that has changed: what its settings are marked `RELOADED` for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from extender.settings.leaves import LEAVES, Leaf
from extender.settings.sections import Settings


class ConfigSource(Struct, frozen=True):
    """Where the configuration of a process comes from.

    Attributes:
        load: merges the file with flags and environment; raises `ConfigError`.
        file: the file; empty where there is none.
    """

    load: Callable[[], Settings]
    file: str = ""

    def content(self) -> bytes:
        """What is in the file now; nothing where it cannot be read, which `load` tells of."""
        try:
            return Path(self.file).read_bytes() if self.file else b""
        except OSError:
            return b""


class Reload(Struct, frozen=True):
    """What becomes of a changed configuration.

    Attributes:
        settings: what is in force from now on.
        taken_up: keys that have changed and count at once, such as `log.level`.
        restart: keys that differ from what was written, as they need a restart; their old values stay in force.
    """

    settings: Settings
    taken_up: tuple[str, ...]
    restart: tuple[str, ...]


def reload_settings(in_force: Settings, wanted: Settings) -> Reload:
    """Take up what can change while the process runs.

    Args:
        in_force: what the process goes by.
        wanted: what is configured now. What has to fit together is taken up together, so the result is as right.
    """
    tree, new = msgspec.to_builtins(in_force), msgspec.to_builtins(wanted)
    changed = [leaf for leaf in LEAVES if _value(tree, leaf) != _value(new, leaf)]
    for leaf in changed:
        if leaf.reloads:
            section = tree
            for part in leaf.path[:-1]:
                section = section[part]
            section[leaf.path[-1]] = _value(new, leaf)
    return Reload(
        msgspec.convert(tree, Settings),
        tuple(leaf.key for leaf in changed if leaf.reloads),
        tuple(leaf.key for leaf in changed if not leaf.reloads),
    )


def _value(tree: Any, leaf: Leaf) -> Any:
    for part in leaf.path:
        tree = tree[part]
    return tree
