"""The chart's README.md, made from Chart.yaml and comments in values.yaml. `python -m generate.manifests` writes it.

A comment that begins with `# --` right above a value is what the README says of it.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import yaml
from programs import ROOT

README = ROOT / "deploy" / "helm" / "spotmix" / "README.md"

_HEAD = """\
# The chart of Spotmix

{description}.

    helm install spotmix deploy/helm/spotmix --namespace spotmix-system --create-namespace \\
      --set image.repository=registry.example.org/spotmix

Kubernetes {kube}. [What it installs, and which values to think about](../../../docs/how-to/install-helm.md);
[where the API server reaches no pods](../../../docs/how-to/host-network.md); [what it may do](../../../SECURITY.md).

`helm test spotmix` asks the Spotmix that runs how all workloads stand.

## Values

This page is made from [values.yaml](values.yaml) by `make manifests`.

| value | default | what |
|---|---|---|
"""


def render(folder: Path = README.parent) -> str:
    """Return the text of the README of the chart in a folder."""
    chart = yaml.safe_load((folder / "Chart.yaml").read_text())
    text = (folder / "values.yaml").read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    head = _HEAD.format(description=chart["description"], kube=chart["kubeVersion"].removesuffix("-0"))
    return head + "".join(_rows(cast(yaml.MappingNode, root), text.splitlines(), ()))


def _rows(node: yaml.MappingNode, lines: Sequence[str], path: tuple[str, ...]) -> Iterator[str]:
    for key, value in node.value:
        name, what = (*path, key.value), _comment(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            if what:
                yield _row(name, "", what)
            yield from _rows(value, lines, name)
        else:
            default = yaml.safe_load(yaml.serialize(value, Dumper=yaml.SafeDumper))
            yield _row(name, f"`{json.dumps(default)}`", what)


def _row(name: tuple[str, ...], default: str, what: str) -> str:
    shown = what.replace("|", "\\|").replace("<", "\\<")
    return f"| `{'.'.join(name)}` | {default} | {shown} |\n"


def _comment(lines: Sequence[str], line: int) -> str:
    """Return what is said of the key on a line, counted from 0; empty for nothing."""
    said: list[str] = []
    for above in reversed(lines[:line]):
        text = above.strip()
        if not text.startswith("#"):
            return ""
        said.insert(0, text.removeprefix("#").removeprefix(" --").strip())
        if text.startswith("# --"):
            return " ".join(said)
    return ""


def write() -> None:
    README.write_text(render())
