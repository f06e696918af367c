"""The reference of all settings, for people: docs/reference/settings.md is what this gives."""

from typing import Any, Literal, get_args, get_origin

import yaml

from extender.settings.load import API_VERSION, KIND, LEAVES, Leaf

_HEAD = f"""# Settings

Every setting is a key of the configuration file (`spotmix serve --config FILE`, or `$SPOTMIX_CONFIG`), a flag and an
environment variable. Flag wins over environment, environment over file, file over default. `drift.minPodAge` is
`--drift-min-pod-age` and `SPOTMIX_DRIFT_MIN_POD_AGE`; where a flag has another name, it is given below. Lists and maps
are given to flags and variables as YAML. The file begins with

    apiVersion: {API_VERSION}
    kind: {KIND}

and refuses keys that it does not know. `spotmix config show` prints what is in force, `spotmix config reference` this
page. Durations are written in hours, minutes and seconds: `30s`, `5m`, `1h30m`.

[Traces](../how-to/trace-it.md) have no settings of their own: OpenTelemetry's environment variables switch them on and
say where they go.
"""


def render_reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    sections: dict[tuple[str, ...], list[Leaf]] = {}
    for leaf in LEAVES:
        sections.setdefault(leaf.path[:-1], []).append(leaf)
    for section, leaves in sections.items():
        parts.append(f"## {'.'.join(section) or 'Of no section'}\n")
        parts.append("| setting | type | default | effect |\n|---|---|---|---|")
        parts += [_row(leaf) for leaf in leaves]
        parts.append("")
    return "\n".join(parts)


def _row(leaf: Leaf) -> str:
    usual = "--" + "-".join(_kebab(part) for part in leaf.path)
    flag = "" if leaf.flag == usual else f" (flag `{leaf.flag}`)"
    cells = (f"`{'.'.join(leaf.path)}`{flag}", _type(leaf), _default(leaf.default), leaf.text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kebab(name: str) -> str:
    return "".join("-" + c.lower() if c.isupper() else c for c in name)


def _type(leaf: Leaf) -> str:
    if leaf.duration:
        return "duration"
    if get_origin(leaf.type) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(leaf.type))
    names: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    known = names.get(leaf.type)
    if known:
        return known
    return "list" if get_origin(leaf.type) is tuple else "map"


def _default(value: Any) -> str:
    if value == "":
        return "empty"
    if isinstance(value, str | int | float | tuple | dict):
        text = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000)
        return f"`{text.removesuffix('...' + chr(10)).strip()}`"
    return "see `spotmix config show`"
