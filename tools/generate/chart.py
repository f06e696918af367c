"""The Helm chart through the real helm: rendered, checked, installed."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from programs import ROOT, helm

from extender.sandbox.versions import KUBERNETES

CHART = ROOT / "deploy" / "helm" / "spotmix"
NAMESPACE = "spotmix-system"
RELEASE = "spotmix"
Object = dict[str, Any]
Values = Mapping[str, Any]


class HelmError(Exception):
    """Helm refused; the text is what it said."""


def run_helm(*arguments: str, values: Values | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Run helm and give what it printed; `values` go to its standard input as a file of values.

    Raises:
        HelmError: its exit code is not 0.
    """
    command = [str(helm()), *arguments, *(("-f", "-") if values is not None else ())]
    done = subprocess.run(
        command,
        input=None if values is None else yaml.safe_dump(dict(values)),
        # Nobody's repositories, plugins or kubeconfig.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        raise HelmError(done.stderr + done.stdout)
    return done.stdout


def template_text(values: Values | None = None, *flags: str, namespace: str = NAMESPACE, hooks: bool = False) -> str:
    where = ("--namespace", namespace, "--kube-version", KUBERNETES, *(() if hooks else ("--no-hooks",)))
    return run_helm("template", RELEASE, str(CHART), *where, *flags, values=values or {})


def template(
    values: Values | None = None, *flags: str, namespace: str = NAMESPACE, hooks: bool = False
) -> list[Object]:
    """The objects of the chart under these values, those too that are there at some moment alone where `hooks`."""
    return documents(template_text(values, *flags, namespace=namespace, hooks=hooks))


def hooks(values: Values | None = None, *, when: str = "pre-delete") -> list[Object]:
    """What helm makes at some moment alone: before an uninstall, or at `when: test`."""
    made = template(values, hooks=True)
    return [each for each in made if (each["metadata"].get("annotations") or {}).get("helm.sh/hook") == when]


def documents(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


def pick(objects: Sequence[Object], kind: str, name: str = RELEASE) -> Object:
    """The object of this kind and name."""
    return next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)


def pod_templates(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod template of each Deployment and Job."""
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]
