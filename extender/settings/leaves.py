"""Every setting with its names, kind, limits, default and effect, gathered from the sections."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from extender.settings.sections import Settings
from extender.settings.values import Kind, Section, choices_of, kind_of, limits_of


class Leaf(Struct, frozen=True):
    """One setting.

    Attributes:
        path: its keys in the file, such as `("log", "level")`.
        flag: its option, such as `--log-level`.
        env: its environment variable, such as `SPOTMIX_LOG_LEVEL`.
        type: its Python type.
        default: what it is when nobody sets it.
        text: its effect, in a sentence without the full stop.
        kind: what a value looks like.
        choices: the words to choose from, empty where any value of the kind will do.
        limits: from where to where a number may be, empty where there are none.
        reloads: whether `spotmix serve` takes it up while it runs; else it needs a restart.
    """

    path: tuple[str, ...]
    flag: str
    env: str
    type: Any
    default: Any
    text: str
    kind: Kind
    choices: tuple[str, ...]
    limits: str
    reloads: bool = False

    @property
    def change(self) -> str:
        """What a change of it needs, in a word: reload or restart."""
        return "reload" if self.reloads else "restart"

    @property
    def key(self) -> str:
        """Its place in the file, such as `log.level`."""
        return ".".join(self.path)

    @property
    def metavar(self) -> str:
        """What stands for its value in help texts: a word, or the choices."""
        return f"[{'|'.join(self.choices)}]" if self.choices else self.kind.metavar

    @property
    def looks(self) -> str:
        """What to write, as it follows "write ..", with choices and limits."""
        if self.choices:
            return " or ".join((", ".join(self.choices[:-1]), self.choices[-1]))
        return f"{self.kind.looks} ({self.limits})" if self.limits else self.kind.looks


def kebab(name: str) -> str:
    """A key of the file as flags have it: `minPodAge` is `min-pod-age`."""
    return "".join("-" + c.lower() if c.isupper() else c for c in name)


def _leaves(struct: type[Struct], path: tuple[str, ...]) -> Iterator[Leaf]:
    hints = get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        hint, metas = _unwrapped(hints[info.name])
        here = (*path, info.encode_name)
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _leaves(hint, here)
            continue
        extra = {k: v for meta in metas if meta.extra for k, v in meta.extra.items()}
        yield Leaf(
            here,
            "--" + extra.get("flag", "-".join(kebab(part) for part in here)),
            "SPOTMIX_" + "_".join(kebab(part).replace("-", "_").upper() for part in here),
            hint,
            info.default if info.default is not msgspec.NODEFAULT else info.default_factory(),
            next((meta.description for meta in metas if meta.description), ""),
            extra.get("kind") or kind_of(hint),
            choices_of(hint),
            limits_of(metas),
            reloads=bool(extra.get("reloads")),
        )


def _unwrapped(hint: Any) -> tuple[Any, list[Meta]]:
    """A field's type, and what its annotation says about it."""
    if get_origin(hint) is not Annotated:
        return hint, []
    type_, *metas = get_args(hint)
    return type_, metas


def _sections(struct: type[Struct], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield path, " ".join((struct.__doc__ or "").split())
    hints = get_type_hints(struct)
    for info in msgspec.structs.fields(struct):
        hint = hints[info.name]
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _sections(hint, (*path, info.encode_name))


LEAVES: tuple[Leaf, ...] = tuple(_leaves(Settings, ()))

SECTIONS: Mapping[tuple[str, ...], str] = dict(_sections(Settings, ()))
"""What each section is about, in sentences, by its path in the file; the empty path is that of the file itself."""


def sections_of(leaves: tuple[Leaf, ...]) -> Mapping[tuple[str, ...], list[Leaf]]:
    """Settings by the path of their section, in the order of the file."""
    found: dict[tuple[str, ...], list[Leaf]] = {}
    for leaf in leaves:
        found.setdefault(leaf.path[:-1], []).append(leaf)
    return found
