"""How the API is put together, and that it costs nothing where it is not served."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from support.api import LOOPBACK, ApiBench, Guard, stub
from support.certificates import Authority

from extender.core.model.access import list_workloads
from extender.core.model.errors import ConfigError
from extender.runtime.grpc import GrpcApi
from extender.settings.sections.ports import ApiSettings, ApiTlsSettings
from extender.telemetry.metrics import Metrics
from spotmix.placement.v1 import placement_pb2 as pb

ADDRESS = f"{LOOPBACK}:0"


def test_grpc_is_imported_when_the_api_is_served_and_not_before() -> None:
    code = (
        "import asyncio, json, sys, extender.runtime\n"
        "from extender.runtime.grpc import GrpcApi\n"
        "from extender.settings.sections.ports import ApiSettings\n"
        "api = GrpcApi(ApiSettings(enabled=False), None)\n"
        "asyncio.run(api.start(None, None, bool))\n"
        "print(json.dumps([m for m in ('grpc', 'google.protobuf', 'spotmix') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


async def called(api: GrpcApi, **metadata: str) -> str:
    """The status of a call."""
    async with grpc.aio.insecure_channel(api.address) as channel:
        try:
            await stub(channel).ListWorkloads(pb.ListWorkloadsRequest(), metadata=tuple(metadata.items()))
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"


async def test_calls_are_counted() -> None:
    bench, metrics = ApiBench(), Metrics()
    api = GrpcApi(ApiSettings(addr=ADDRESS), Guard())
    assert (api.address, api.watches) == ("", 0)
    await api.start(bench.shared, metrics.api, lambda: True)
    assert await called(api) == "OK"
    text = metrics.render()[0].decode()
    assert 'spotmix_api_requests_total{code="OK",rpc="ListWorkloads"} 1.0' in text
    assert 'spotmix_api_requests_total{code="NOT_FOUND",rpc="ExplainPod"} 0.0' in text
    assert 'spotmix_api_request_duration_seconds_count{rpc="ListWorkloads"} 1.0' in text
    assert 'spotmix_api_request_duration_seconds_count{rpc="WatchDecisions"}' not in text
    await api.stop()


@pytest.mark.parametrize(("auth", "status"), [("none", "OK"), ("kubernetes", "UNAUTHENTICATED")])
async def test_tokens_are_asked_for_when_the_settings_say_so(auth: str, status: str) -> None:
    api = GrpcApi(ApiSettings(addr=ADDRESS, auth=auth), Guard(list_workloads()))  # type: ignore[arg-type]  # of two
    await api.start(ApiBench().shared, Metrics().api, lambda: True)
    assert await called(api) == status
    assert await called(api, authorization=f"Bearer {Guard.TOKEN}") == "OK"
    await api.stop()


def test_certificates_are_read_when_the_api_is_served_alone(tmp_path: Path) -> None:
    pair = Authority("servers").issue(tmp_path, "server", (LOOPBACK,))
    tls = ApiTlsSettings(cert=str(pair.cert), key=str(pair.key))
    served = GrpcApi(ApiSettings(addr=ADDRESS, tls=tls), Guard())
    assert served.tls is not None
    assert served.tls.ends is not None
    assert GrpcApi(ApiSettings(enabled=False, tls=tls), Guard()).tls is None
    with pytest.raises(ConfigError, match="is no file"):
        GrpcApi(ApiSettings(tls=ApiTlsSettings(cert="/nowhere", key=str(pair.key))), Guard())
