"""The reference of all settings, for people: docs/reference/settings.md is what this gives."""

from typing import Any

import yaml

from extender.settings.leaves import LEAVES, SECTIONS, Leaf, kebab, sections_of
from extender.settings.load import API_VERSION, KIND
from extender.settings.values import BOOLEAN, CHOICE, Kind

_HEAD = f"""# Settings

Every setting is a key of the configuration file (`spotmix serve --config FILE`, or `$SPOTMIX_CONFIG`), a flag and an
environment variable. Flag wins over environment, environment over file, file over default. `drift.minPodAge` is
`--drift-min-pod-age` and `SPOTMIX_DRIFT_MIN_POD_AGE`; where a flag has another name, it is given below. The file begins
with

    apiVersion: {API_VERSION}
    kind: {KIND}

and refuses keys that it does not know. `spotmix config show` prints what is in force, `spotmix config reference` this
page.

A running `spotmix serve` takes up a changed file: what is marked `reload` at once, what is marked `restart` from its
next start ([how to change the configuration](../how-to/change-the-configuration.md)).

[Traces](../how-to/trace-it.md) have no settings of their own: OpenTelemetry's environment variables switch them on and
say where they go.
"""

_VALUES = """## How values are written

The same in the file, as flags and as environment variables; in the file, lists and maps may also take several lines.
"""


def render_reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD, _VALUES, "| type | value |\n|---|---|"]
    parts += [f"| {_cell(_name(kind))} | {_cell(kind.looks)} |" for kind in _kinds()]
    parts.append("")
    for section, leaves in sections_of(LEAVES).items():
        parts.append(f"## {'.'.join(section) or 'Top level'}\n\n{SECTIONS[section]}\n")
        parts.append("| setting | type | default | change | effect |\n|---|---|---|---|---|")
        parts += [_row(leaf) for leaf in leaves]
        parts.append("")
    return "\n".join(parts)


def _kinds() -> list[Kind]:
    """The kinds of values that have to be explained: all but those whose settings list what to choose from."""
    kinds = {leaf.kind.metavar: leaf.kind for leaf in LEAVES if leaf.kind not in (BOOLEAN, CHOICE)}
    return [kind for _, kind in sorted(kinds.items())]


def _name(kind: Kind) -> str:
    return f"`{kind.metavar}`"


def _row(leaf: Leaf) -> str:
    usual = "--" + "-".join(kebab(part) for part in leaf.path)
    flag = "" if leaf.flag == usual else f" (flag `{leaf.flag}`)"
    cells = (f"`{leaf.key}`{flag}", _type(leaf), _default(leaf.default), leaf.change, leaf.text)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(leaf: Leaf) -> str:
    if leaf.choices:
        return ", ".join(f"`{value}`" for value in leaf.choices)
    return f"{_name(leaf.kind)}, {leaf.limits}" if leaf.limits else _name(leaf.kind)


def _default(value: Any) -> str:
    if value == "":
        return "empty"
    if isinstance(value, str | int | float | tuple | dict):
        text = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000)
        return f"`{text.removesuffix('...' + chr(10)).strip()}`"
    return "see `spotmix config show`" if value else "`{}`"
