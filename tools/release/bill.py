"""The bill of materials (SBOM): what is installed beside Spotmix, as requirements.txt pins it, in CycloneDX 1.6."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from programs import ROOT

from release.origin import Origin

REQUIREMENTS = ROOT / "requirements.txt"


def pinned() -> Iterator[Requirement]:
    """Each pinned requirement; the hashes of its files stay in requirements.txt."""
    for entry in re.findall(r"^[^\s#].*", REQUIREMENTS.read_text(), re.MULTILINE):
        yield Requirement(entry.removesuffix("\\").strip())


def write_bill(dist: Path, origin: Origin) -> Path:
    """Write it."""
    us = Component(
        name="spotmix",
        version=origin.version,
        type=ComponentType.APPLICATION,
        purl=PackageURL("pypi", None, "spotmix", origin.version),
        bom_ref=f"spotmix@{origin.version}",
    )
    components = [_component(requirement) for requirement in pinned()]
    bom = Bom(components=components, serial_number=uuid5(NAMESPACE_URL, f"spotmix@{origin.commit}"))
    bom.metadata.component = us
    bom.metadata.timestamp = origin.time
    bom.register_dependency(us, components)
    file = dist / f"spotmix-{origin.version}.cdx.json"
    file.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")
    return file


def _component(requirement: Requirement) -> Component:
    (pin,) = requirement.specifier
    return Component(
        name=requirement.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        purl=PackageURL("pypi", None, requirement.name, pin.version),
        bom_ref=f"{requirement.name}@{pin.version}",
    )
