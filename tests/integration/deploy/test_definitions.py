"""Real helm and the definitions of policy objects: whatever it does with the chart, everybody's policies stay."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from generate.chart import CHART, run_helm, template
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import placement_policy, served, shares

from extender.core.model.errors import ApiError
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

WHERE, RELEASE = "definitions", "definitions"


def older(folder: Path) -> Path:
    """The chart as it was before policies had a priority."""
    chart = folder / "older"
    shutil.copytree(CHART, chart)
    schema = chart / "templates" / "_policies.tpl"
    text, count = re.subn(r"^priority:\n(?:  .*\n)+", "", schema.read_text(), flags=re.MULTILINE)
    assert count == 1
    schema.write_text(text)
    return chart


async def test_policies_outlive_upgrades_and_an_uninstall(
    bare_plane: ControlPlane, objects: Objects, tmp_path: Path
) -> None:
    environ = {"KUBECONFIG": str(bare_plane.kubeconfig), "HOME": str(tmp_path)}

    async def helm(verb: str, *arguments: str) -> None:
        given = (verb, RELEASE, *arguments, "--namespace", WHERE)
        await asyncio.to_thread(run_helm, *given, environ=environ)

    kept = placement_policy("kept", "default", {"classes": shares(70)})
    first = placement_policy("first", "default", {"priority": 1, "classes": shares(50)})
    definitions = [each for each in template() if each["kind"] == "CustomResourceDefinition"]

    await helm("install", str(older(tmp_path)), "--create-namespace")
    await served(objects)
    uid = (await objects.apply(kept))["metadata"]["uid"]

    async def taken() -> str:
        try:
            await objects.apply(first)
        except ApiError as error:
            return str(error)
        return ""

    assert "priority" in await taken(), "the older definition knows no priority"

    async def is_there() -> bool:
        found = await objects.get(kept)
        return found is not None and found["metadata"]["uid"] == uid and found["spec"]["classes"] == shares(70)

    await helm("upgrade", str(CHART))
    await eventually(taken, lambda why: not why, "an upgrade updates the definitions")
    assert await is_there()
    # Whoever no longer wants them managed by the chart keeps what there is.
    await helm("upgrade", str(CHART), "--set", "crds.install=false")
    assert await is_there()
    # Nothing runs here that could do what the hook is for; tests/integration/deploy/test_uninstall.py has that.
    await helm("uninstall", "--no-hooks")
    assert await is_there()
    await helm("install", str(CHART), "--set", "crds.keep=false")
    assert await is_there()
    await helm("uninstall", "--no-hooks")
    for each in definitions:
        await objects.gone(each)
