"""Label selectors as people write them mean here what they mean to the API server."""

import json

import pytest
from unit.core.model.test_labelquery import BARE, EDGE, SELECTED, WEB, WRONG

from extender.core.model.errors import ApiError
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

PATH = "/api/v1/namespaces/default/configmaps"
LABELS = {"web": WEB, "edge": EDGE, "bare": BARE}


async def test_the_api_server_agrees(plane: ControlPlane) -> None:
    async with await plane.connect() as client:
        for name, labels in LABELS.items():
            metadata = {"name": f"said-{name}", "labels": labels}
            await client.request("POST", PATH, body={"metadata": metadata})

        async def listed(selector: str) -> list[dict[str, str]]:
            answer = json.loads(await client.request("GET", PATH, params={"labelSelector": selector}))
            names = {item["metadata"]["name"].removeprefix("said-") for item in answer["items"]}
            return [labels for name, labels in LABELS.items() if name in names]

        for text, selected in SELECTED:
            assert await listed(text) == selected, text
        for text, _ in WRONG:
            with pytest.raises(ApiError) as caught:
                await listed(text)
            assert caught.value.status == 400, text
        for name in LABELS:
            await client.request("DELETE", f"{PATH}/said-{name}")
