"""The version stands in extender/__init__.py; whatever else names it says the same."""

import re

import yaml
from generate import pages
from programs import ROOT

from extender import __version__
from extender.sandbox.versions import KUBERNETES


def test_the_package_takes_it_from_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version", "readme"]' in project
    assert '[tool.hatch.version]\npath = "extender/__init__.py"' in project


def test_the_chart_is_of_that_version() -> None:
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "spotmix" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_pages_show_images_of_that_version() -> None:
    shown = {tag for page in pages.pages() for tag in re.findall(r"\bspotmix:(\d+\.\d+\.\d+)", page.read_text())}
    assert shown == {__version__}


def test_it_heads_the_changelog() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == __version__


def test_the_readme_names_the_kubernetes_that_tests_run() -> None:
    minor = KUBERNETES.removeprefix("v").rpartition(".")[0]
    assert f"| Kubernetes | run with {minor} only;" in (ROOT / "README.md").read_text()
