"""The version stands in extender/__init__.py; whatever else names it says the same."""

import re

import yaml
from generate import pages
from programs import ROOT

from extender import __version__
from extender.sandbox.versions import KUBERNETES, RELEASES, minor_of


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


def test_readme_chart_and_page_name_the_same_kubernetes() -> None:
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "spotmix" / "Chart.yaml").read_text())
    oldest = chart["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
    row = f"| Kubernetes | {oldest} and newer: {minor_of(KUBERNETES)} by all tests"
    assert row in (ROOT / "README.md").read_text()
    page = (ROOT / "docs" / "reference" / "compatibility.md").read_text()
    assert f"Spotmix supports Kubernetes **{oldest} and newer**" in page
    assert f"| {KUBERNETES.removeprefix('v')} | each change | all tests |" in page
    assert {f"| {release.removeprefix('v')} |" in page for release in (RELEASES[oldest], KUBERNETES)} == {True}
