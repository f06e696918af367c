"""deploy/schemas: policy objects as JSON Schema, for editors and checks before `kubectl apply`.

`python -m generate.schemas` writes them from the definitions in deploy/manifests.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from programs import ROOT

from generate.chart import Object, documents
from generate.manifests import MANIFESTS

SCHEMAS = ROOT / "deploy" / "schemas"
_DRAFT = "http://json-schema.org/draft-07/schema#"


def definitions() -> list[Object]:
    """The CustomResourceDefinitions of the plain manifests, which the chart renders."""
    rendered = documents((MANIFESTS / "spotmix.yaml").read_text())
    return [each for each in rendered if each["kind"] == "CustomResourceDefinition"]


def schema_of(definition: Object) -> Object:
    """The schema of a definition's only version, as the API server has it."""
    found: Object = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def render() -> dict[str, str]:
    """The files by name."""
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in _rendered()}


def _rendered() -> Iterator[tuple[str, Object]]:
    for definition in definitions():
        spec = definition["spec"]
        names, version = spec["names"], spec["versions"][0]["name"]
        schema = _plain(schema_of(definition))
        schema["properties"] |= {
            "apiVersion": {"const": f"{spec['group']}/{version}"},
            "kind": {"const": names["kind"]},
            "metadata": {"type": "object"},
        }
        schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
        yield f"{names['singular']}-{version}.json", {"$schema": _DRAFT, "title": names["kind"], **schema}


def _plain(schema: Any) -> Any:
    """Without what Kubernetes alone understands; fields that the schema does not name are wrong."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    if plain.get("type") == "object" and "properties" in plain:
        plain.setdefault("additionalProperties", False)
    return plain


def write(folder: Path = SCHEMAS) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in render().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write()
