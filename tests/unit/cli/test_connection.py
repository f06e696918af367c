"""How commands reach the cluster: whom they act as, which entries of the kubeconfig count, and how long they wait."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from support.certificates import Authority
from support.doubles_api import FakeService
from unit.cli.test_service import LOOPBACK
from unit.kube.fake_api import FakeApi, write_kubeconfig

from extender.cli import cli
from extender.core.model.errors import ApiError, ConfigError, ServiceError

REACHING = (("status", "-A"), ("explain", "pod/x"), ("drift", "plan"), ("what-if", "--lose-pool", "spot"), ("watch",))
PODS = "/api/v1/pods"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("command", [*REACHING, ("release-gates", "--dry-run")])
def test_every_request_says_whom_to_act_as(command: tuple[str, ...], api: FakeApi, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url, {"token": "t"})
    who = ("--as", "bob", "--as-group", "team", "--as-group", "readers", "--as-uid", "7")
    run(*command, "--kubeconfig", kubeconfig, *who)
    assert api.seen
    for _, path, _, headers, _ in api.seen:
        named = [(name, value) for name, value in headers.items() if name.startswith("Impersonate-")]
        assert named == [
            ("Impersonate-User", "bob"),
            ("Impersonate-Group", "team"),
            ("Impersonate-Group", "readers"),
            ("Impersonate-Uid", "7"),
        ], path


@pytest.mark.parametrize("command", REACHING)
def test_other_entries_of_the_kubeconfig(command: tuple[str, ...], tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    for flag in ("--cluster", "--user"):
        ran = run(*command, "--kubeconfig", kubeconfig, flag, "another")
        assert isinstance(ran.exception, ConfigError)
        assert "another" in str(ran.exception)


def test_a_request_takes_no_longer_than_is_said(api: FakeApi, tmp_path: Path) -> None:
    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    api.handlers[PODS] = hang
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url)
    ran = run("status", "-A", "--kubeconfig", kubeconfig, "--request-timeout", "0.05s")
    assert isinstance(ran.exception, ApiError)
    assert ran.exception.status == 0
    assert f"GET {PODS}" in str(ran.exception)


@pytest.mark.parametrize("given", ["soon", "-1", "5 parsecs"])
def test_what_is_no_duration_is_a_usage_error(given: str) -> None:
    ran = run("status", "--request-timeout", given)
    assert ran.exit_code == 2
    assert "--request-timeout" in ran.stderr


def test_the_own_token_is_not_shown_for_somebody_else(tmp_path: Path) -> None:
    authority = Authority("authority")
    asking = FakeService({"ListWorkloads": []}, "secret")
    kubeconfig = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", {"token": "secret"})
    with asking.serving(tls=authority.issue(tmp_path, "service", LOOPBACK)) as address:
        where = ("--server", address, "--server-ca", str(authority.write(tmp_path / "ca.pem")))
        ran = run("status", "-A", *where, "--kubeconfig", kubeconfig, "--as", "bob")
    assert isinstance(ran.exception, ServiceError)
    assert "knows of nobody to act as" in str(ran.exception)
    assert [shown for *_, shown in asking.seen] == [""]
