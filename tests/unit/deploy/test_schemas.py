"""deploy/schemas says of policy objects what the definitions say, in words that editors know."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from generate.schemas import RULES, SCHEMAS, render, rules


def keys_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema
        for value in schema.values():
            yield from keys_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_in(value)


def test_they_are_current() -> None:
    assert sorted(path.name for path in SCHEMAS.iterdir()) == sorted(render())
    for name, text in render().items():
        assert (SCHEMAS / name).read_text() == text, f"{name} is not what the definitions say; run make manifests"
    assert RULES.read_text() == rules(), f"{RULES} is not what the definitions say; run make manifests"


@pytest.mark.parametrize("name", sorted(render()))
def test_they_need_no_kubernetes_to_be_understood(name: str) -> None:
    schema = json.loads(render()[name])
    assert not [key for key in keys_in(schema) if key.startswith("x-kubernetes")]
    assert schema["required"] == ["apiVersion", "kind", "metadata", "spec"]
    assert schema["properties"]["kind"] == {"const": schema["title"]}
    spec = schema["properties"]["spec"]
    assert spec["additionalProperties"] is False
    assert spec["properties"]["classes"]["items"]["properties"]["max"]["type"] == ["integer", "string"]
    assert spec["properties"]["selector"]["properties"]["matchLabels"]["additionalProperties"]["type"] == "string"
