"""deploy/manifests: the chart rendered for those who do not use Helm. `python -m generate.manifests` writes them.

Before that it has the chart know which settings need no rollout, since the program takes them up while it runs.
"""

from collections.abc import Sequence
from pathlib import Path

from programs import ROOT

from extender.settings import LEAVES
from generate import chartreadme
from generate.chart import CHART, NAMESPACE, Values, template_text

RELOADED = CHART / "settings" / "reloaded.yaml"
MANIFESTS = ROOT / "deploy" / "manifests"
# Name of the file, what it is, values of the chart.
VARIANTS: Sequence[tuple[str, str, Values]] = (
    ("spotmix.yaml", "Spotmix with a scheduler of its own", {}),
    (
        "spotmix-without-scheduler.yaml",
        "Spotmix for a scheduler that exists, to be attached by hand",
        {"scheduler": {"enabled": False}},
    ),
)
_HEAD = """\
# {title}. Made from the chart in deploy/helm/spotmix by `make manifests`: change it there.
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
  labels:
    app.kubernetes.io/name: spotmix
    app.kubernetes.io/part-of: spotmix
    pod-security.kubernetes.io/enforce: restricted
"""
# Helm's own marks, which would be untrue.
_MARKS = ("app.kubernetes.io/managed-by:", "helm.sh/chart:", "# Source:")


def render() -> dict[str, str]:
    """The files by name."""
    return {name: _render(title, values) for name, title, values in VARIANTS}


def _render(title: str, values: Values) -> str:
    lines = [line.rstrip() for line in template_text(values).splitlines()]
    body = "\n".join(line for line in lines if line and not line.strip().startswith(_MARKS))
    return _HEAD.format(title=title, namespace=NAMESPACE) + body + "\n"


def reloaded() -> str:
    """The list of settings for the chart."""
    head = "# Settings that `spotmix serve` takes up while it runs. Made from the code by `make manifests`.\n"
    return head + "".join(f"- {leaf.key}\n" for leaf in LEAVES if leaf.reloads)


def write(folder: Path = MANIFESTS) -> None:
    RELOADED.parent.mkdir(exist_ok=True)
    RELOADED.write_text(reloaded())
    folder.mkdir(exist_ok=True)
    for name, text in render().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write()
    chartreadme.write()
