"""Finding the API server: every way a configuration can be given, and be wrong."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from unit.kube.fake_api import write_kubeconfig

from extender.core.model.errors import ConfigError
from extender.kube import connection, incluster
from extender.kube.connection import ConnectionSource
from extender.kube.overrides import Impersonation, Overrides

URL = "https://127.0.0.1:6443"


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "inside.example")


def test_a_named_file_must_exist() -> None:
    with pytest.raises(ConfigError, match="kubeconfig /no/such: no such file"):
        ConnectionSource("/no/such")


def test_the_variable_must_name_a_file() -> None:
    with pytest.raises(ConfigError, match=r"\$KUBECONFIG: no file at '/no/such'"):
        ConnectionSource(environ={"KUBECONFIG": "/no/such"})


def test_nothing_at_all_says_what_was_tried() -> None:
    with pytest.raises(ConfigError, match=r"no kubeconfig was given.*~/.kube/config.*--kubeconfig"):
        ConnectionSource(environ={})


def test_a_pod_without_its_token_says_how_to_mount_it() -> None:
    source = ConnectionSource(environ={"KUBERNETES_SERVICE_HOST": "127.0.0.1"})
    with pytest.raises(ConfigError, match=r"service account.*automountServiceAccountToken"):
        source.load()
    with pytest.raises(ConfigError, match="context 'x'"):
        ConnectionSource(None, "x", environ={"KUBERNETES_SERVICE_HOST": "127.0.0.1"})


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the kubelet mounts into a pod."""
    monkeypatch.setattr(incluster, "ACCOUNT", tmp_path)
    Authority("ca").write(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "namespace").write_text("spotmix-system")
    return tmp_path


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_a_pod_connects_by_its_account_and_follows_its_files(account: Path, host: str, url: str) -> None:
    source = ConnectionSource(environ={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"})
    first = source.load()
    assert (first.base_url, first.authorization, first.proxy) == (url, "Bearer one", "http://127.0.0.1:1")
    assert first.tls is not None
    assert (first.tls.verify_mode, first.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert source.namespace() == "spotmix-system"
    assert source.refresh() is first
    (account / "token").write_text("two, longer")
    second = source.refresh()
    assert second.authorization == "Bearer two, longer"
    Authority("ca").write(account / "ca.crt")
    assert source.refresh().tls is not second.tls


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        ("token", " \n", "token is empty"),
        ("token", None, "token: .*No such file"),
        ("ca.crt", "", "ca.crt is empty"),
        ("ca.crt", "no certificate", "ca.crt is no PEM certificate"),
        ("token", b"\xff", "token: .*decode"),
    ],
)
def test_a_broken_account_is_told_by_its_file(account: Path, file: str, content: str | bytes | None, text: str) -> None:
    path = account / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = ConnectionSource(environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})
    with pytest.raises(ConfigError, match=text):
        source.load()


def test_a_pod_does_without_the_official_package(account: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from extender.kube import incluster;"
        "from extender.kube.connection import ConnectionSource;"
        f"incluster.ACCOUNT = Path({str(account)!r});"
        "print(ConnectionSource().load().base_url, 'kubernetes' in sys.modules)"
    )
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(account)}
    ran = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["https://10.0.0.1:443", "False"]


def test_the_home_file_is_used_when_there_is_one() -> None:
    home = Path(os.environ["HOME"]) / ".kube"
    home.mkdir(parents=True)
    write_kubeconfig(home / "config", URL)
    assert ConnectionSource(environ={"KUBERNETES_SERVICE_HOST": "x"}).load().base_url == URL


def test_files_of_the_variable_are_merged(tmp_path: Path) -> None:
    first = write_kubeconfig(tmp_path / "a", URL, {"token": "one"})
    second = write_kubeconfig(tmp_path / "b", "https://127.0.0.2:6443/", {"token": "two"})
    loaded = ConnectionSource(environ={"KUBECONFIG": f"{first}{os.pathsep}{second}"}).load()
    assert (loaded.base_url, loaded.authorization) == (URL, "Bearer one")


def test_tls_settings_are_taken_over(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "insecure-skip-tls-verify": True,
        "tls-server-name": "kubernetes",
        "proxy-url": "http://127.0.0.1:8",
    }
    loaded = ConnectionSource(write_kubeconfig(tmp_path / "config", URL + "/", **options)).load()
    assert loaded.base_url == URL
    assert loaded.tls is not None
    assert loaded.tls.verify_mode == ssl.CERT_NONE
    assert loaded.server_name == "kubernetes"
    assert loaded.proxy == "http://127.0.0.1:8"


@pytest.mark.parametrize(
    ("server", "proxy"),
    [
        (URL, None),
        ("https://[::1]:6443", None),
        ("https://localhost:6443", None),
        ("https://inside.example:6443", None),
        ("https://outside.example:6443", "http://127.0.0.1:1"),
        ("http://outside.example:6443", None),
    ],
)
def test_the_proxy_of_the_environment_is_used_as_go_would(tmp_path: Path, server: str, proxy: str | None) -> None:
    loaded = ConnectionSource(write_kubeconfig(tmp_path / "config", server)).load()
    assert loaded.proxy == proxy
    assert (loaded.tls is None) == server.startswith("http:")


def test_basic_authentication(tmp_path: Path) -> None:
    loaded = ConnectionSource(write_kubeconfig(tmp_path / "config", URL, {"username": "a", "password": "b"})).load()
    assert loaded.authorization == "Basic YTpi"


def test_the_connection_stays_the_same_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    source = ConnectionSource(write_kubeconfig(tmp_path / "config", URL, {"tokenFile": str(tmp_path / "token")}))
    first = source.load()
    assert source.refresh() is first
    (tmp_path / "token").write_text("u")
    assert source.refresh().authorization == "Bearer u"
    static = ConnectionSource(write_kubeconfig(tmp_path / "static", URL))
    assert static.load() is static.refresh()


def test_every_file_is_followed(tmp_path: Path) -> None:
    """A certificate or a CA that is exchanged makes another TLS context; a file that is only touched does not."""
    authority = Authority("ca")
    pair = authority.issue(tmp_path, "me")
    ca = authority.write(tmp_path / "ca.pem")
    user = {"client-certificate": str(pair.cert), "client-key": str(pair.key)}
    config = write_kubeconfig(tmp_path / "config", URL, user, **{"certificate-authority": str(ca)})
    source = ConnectionSource(config)
    seen = [source.load()]
    assert source.refresh() is seen[-1]
    authority.issue(tmp_path, "me")
    seen.append(source.refresh())
    Authority("ca").write(ca)
    seen.append(source.refresh())
    write_kubeconfig(tmp_path / "config", "https://127.0.0.2:6443", user, **{"certificate-authority": str(ca)})
    seen.append(source.refresh())
    assert seen[-1].base_url == "https://127.0.0.2:6443"
    assert len(set(map(id, seen))) == len({id(each.tls) for each in seen}) == 4
    ca.touch()
    assert source.refresh() is seen[-1]


def test_inline_credentials_do_not_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kills a process leaves no key behind; two connections may have the same credentials."""
    authority = Authority("ca")
    pair = authority.issue(tmp_path, "me")
    contents = {"client-certificate-data": pair.cert, "client-key-data": pair.key}
    user = {key: b64encode(file.read_bytes()).decode() for key, file in contents.items()}
    ca = b64encode(authority.write(tmp_path / "ca.pem").read_bytes()).decode()
    config = write_kubeconfig(tmp_path / "config", URL, user, **{"certificate-authority-data": ca})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    sources = [ConnectionSource(config), ConnectionSource(config)]
    with ThreadPoolExecutor() as threads:
        loaded = list(threads.map(ConnectionSource.load, sources))
    assert list(temporary.iterdir()) == []
    assert all(each.tls is not None and each.tls.get_ca_certs() for each in loaded)
    assert [each.refresh() for each in sources] == loaded
    user["client-key-data"] = ca
    write_kubeconfig(Path(config), URL, user, **{"certificate-authority-data": ca})
    with pytest.raises(ConfigError, match="do not load"):
        sources[0].refresh()
    assert list(temporary.iterdir()) == []


def test_a_plugin_is_asked_again_though_the_inline_ca_is_on_disk_no_more(tmp_path: Path) -> None:
    token = tmp_path / "token"
    plugin = tmp_path / "plugin"
    said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    status = {"token": "TOKEN", "expirationTimestamp": "2020-01-01T00:00:00Z"}
    answer = json.dumps({**said, "status": status})
    plugin.write_text(f"#!/bin/sh\necho '{answer}' | sed \"s/TOKEN/$(cat {token})/\"\n")
    plugin.chmod(0o700)
    ca = b64encode(Authority("ca").write(tmp_path / "ca.pem").read_bytes()).decode()
    user = {"exec": {"apiVersion": said["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}}
    source = ConnectionSource(write_kubeconfig(tmp_path / "config", URL, user, **{"certificate-authority-data": ca}))
    token.write_text("first")
    loaded = source.load()
    token.write_text("second")
    refreshed = source.refresh()
    assert (loaded.authorization, refreshed.authorization) == ("Bearer first", "Bearer second")
    assert refreshed.tls is loaded.tls


@pytest.mark.parametrize(
    ("cluster", "user", "text"),
    [
        ({"certificate-authority-data": "bm90IGEgY2VydA=="}, {}, "certificate-authority .* is no PEM"),
        ({"certificate-authority": "/no/such"}, {}, "File does not exist: /no/such"),
        (
            {},
            {"client-certificate-data": "eA==", "client-key-data": "eA=="},
            "client-certificate .* do not load",
        ),
        ({}, {"tokenFile": "/no/such"}, "/no/such"),
        ({"proxy-url": "socks5://127.0.0.1:1"}, {}, "proxy-url is 'socks5://127.0.0.1:1'"),
        (
            {},
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such"}},
            "user.exec: the plugin '/no/such' gave no credential",
        ),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, cluster: dict[str, str], user: dict[str, str], text: str) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", URL, user, **cluster)
    with pytest.raises(ConfigError, match=text) as caught:
        ConnectionSource(kubeconfig).load()
    assert kubeconfig in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "empty"),
        ("[]", "check it with"),
        ("{a: b", "check it with"),
        ("{contexts: [], clusters: [], users: []}", "current-context"),
    ],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ConfigError, match=text):
        ConnectionSource(str(path)).load()


def test_an_unknown_context_and_a_bad_url(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", "127.0.0.1:6443")
    with pytest.raises(ConfigError, match=r"context 'other'.*contexts"):
        ConnectionSource(kubeconfig, "other").load()
    with pytest.raises(ConfigError, match=r"cluster.server is '127.0.0.1:6443'"):
        ConnectionSource(kubeconfig).load()


def test_addresses() -> None:
    assert connection._is_address("::1")
    assert not connection._is_address("example")


EVERYTHING = {
    "as": "system:serviceaccount:shop:web",
    "as-groups": ["team", "readers"],
    "as-uid": "7",
    "as-user-extra": {"acme.com/project": ["a", "b"]},
}


def test_whom_a_kubeconfig_says_to_act_as(tmp_path: Path) -> None:
    loaded = ConnectionSource(write_kubeconfig(tmp_path / "config", URL, {"token": "t", **EVERYTHING})).load()
    assert loaded.impersonation == (
        ("Impersonate-User", "system:serviceaccount:shop:web"),
        ("Impersonate-Group", "team"),
        ("Impersonate-Group", "readers"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-acme.com%2Fproject", "a"),
        ("Impersonate-Extra-acme.com%2Fproject", "b"),
    )
    headers = loaded.headers({"Accept": "*/*"})
    assert (headers["authorization"], headers.getall("impersonate-group")) == ("Bearer t", ["team", "readers"])
    assert ConnectionSource(write_kubeconfig(tmp_path / "none", URL, {"token": "t"})).load().impersonation == ()


def test_options_count_before_the_kubeconfig_field_by_field(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", URL, {"as": "eve", "as-groups": ["team"]})
    overrides = Overrides(impersonation=Impersonation("bob", uid="8"))
    assert ConnectionSource(kubeconfig, overrides=overrides).load().impersonation == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "team"),
        ("Impersonate-Uid", "8"),
    )


def test_whom_to_act_as_may_change_while_it_runs(tmp_path: Path) -> None:
    source = ConnectionSource(write_kubeconfig(tmp_path / "config", URL, {"as": "eve"}))
    source.load()
    write_kubeconfig(tmp_path / "config", URL, {"as": "somebody"})
    assert source.refresh().impersonation == (("Impersonate-User", "somebody"),)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ({"as-groups": ["team"]}, "groups, UID and extra of somebody to act as need the user too; give --as"),
        ({"as": 7}, "users[].user.as and as-uid are 7 and ''; write texts"),
        ({"as": "bob", "as-groups": "team"}, "as-groups is 'team'; write a list of texts"),
        ({"as": "bob", "as-user-extra": {"a": "b"}}, "as-user-extra is {'a': 'b'}; write lists of texts by key"),
        ({"as": "bob\r\nX-Evil: 1"}, r"to act as 'bob\r\nX-Evil: 1' cannot be"),
    ],
)
def test_whom_nobody_can_act_as(tmp_path: Path, user: dict[str, Any], text: str) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", URL, user)
    with pytest.raises(ConfigError) as caught:
        ConnectionSource(kubeconfig).load()
    assert text in str(caught.value)
    assert kubeconfig in str(caught.value)


def test_other_entries_of_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two")
    first = write_kubeconfig(tmp_path / "a", URL, {"token": "one"})
    (tmp_path / "b").write_text(
        "clusters: [{name: there, cluster: {server: 'https://127.0.0.2:6443'}}]\n"
        # Paths are meant from the folder of their file.
        "users: [{name: you, user: {tokenFile: token, as: eve}}]\n"
    )
    environ = {"KUBECONFIG": f"{first}{os.pathsep}{tmp_path / 'b'}"}

    def found(*, cluster: str = "", user: str = "") -> tuple[str, str, int]:
        loaded = ConnectionSource(environ=environ, overrides=Overrides(cluster, user)).load()
        return loaded.base_url, loaded.authorization, len(loaded.impersonation)

    assert found() == (URL, "Bearer one", 0)
    assert found(cluster="there") == ("https://127.0.0.2:6443", "Bearer one", 0)
    assert found(user="you") == (URL, "Bearer two", 1)
    assert found(user="you", cluster="there") == ("https://127.0.0.2:6443", "Bearer two", 1)
    with pytest.raises(ConfigError, match="nowhere"):
        found(cluster="nowhere")
    with pytest.raises(ConfigError, match="nobody"):
        found(user="nobody")
    in_a_pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    with pytest.raises(ConfigError, match="user 'you': a pod's service account has none"):
        ConnectionSource(environ=in_a_pod, overrides=Overrides(user="you"))
