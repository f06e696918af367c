"""deploy/schemas: policy objects as JSON Schema, for editors and checks before `kubectl apply`.

`python -m generate.schemas` writes them from the definitions in deploy/manifests, and what `spotmix lint` goes by: the
definitions' own schema with its rules.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from programs import ROOT

from generate.chart import Object, documents
from generate.manifests import MANIFESTS

SCHEMAS = ROOT / "deploy" / "schemas"
RULES = ROOT / "extender" / "lint" / "definitions.json"
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


def rules() -> str:
    """The schema of `spec` by kind, with the rules in CEL, without what people read."""
    found = {each["spec"]["names"]["kind"]: _terse(schema_of(each)["properties"]["spec"]) for each in definitions()}
    return json.dumps(found, indent=1) + "\n"


def _terse(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    terse = {key: value for key, value in schema.items() if key != "description"}
    for key in ("properties", "items", "additionalProperties"):
        if key in terse:
            of = terse[key]
            terse[key] = {name: _terse(each) for name, each in of.items()} if key == "properties" else _terse(of)
    return terse


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
    if folder == SCHEMAS:
        RULES.write_text(rules())


if __name__ == "__main__":
    write()
