"""The extender's entry in a scheduler's configuration, made from the settings."""

import base64

import pytest

from extender.core.model.errors import ConfigError
from extender.schedulerconfig.read import Stanza
from extender.settings import load_settings, stanza_from

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
URL = "https://spotmix.spotmix-system.svc:8888/scheduler"


def stanza(known: bytes = b"", /, **settings: str) -> Stanza:
    environ = {f"SPOTMIX_{name.upper()}": value for name, value in settings.items()}
    return stanza_from(load_settings(environ=environ), ca_data=known)


def ours(known: bytes = b"", /, **settings: str) -> Stanza:
    return stanza(known, **{f"scheduler_config_{name}": value for name, value in settings.items()})


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8888/scheduler"),
        ({"extender_addr": ":1"}, "http://127.0.0.1:1/scheduler"),
        ({"extender_addr": "[::]:1"}, "http://[::1]:1/scheduler"),
        ({"extender_addr": "10.0.0.1:1", "extender_url_prefix": "/a/b/"}, "http://10.0.0.1:1/a/b"),
        ({"scheduler_config_url_prefix": "http://x:9/y/"}, "http://x:9/y"),
    ],
)
def test_the_address(settings: dict[str, str], url: str) -> None:
    assert stanza(**settings) == Stanza(url_prefix=url)


def test_serving_tls_makes_it_https() -> None:
    tls = {"extender_tls_cert": "c", "extender_tls_key": "k"}
    with pytest.raises(ConfigError, match=r"address is https://127\.0\.0\.1:8888/scheduler, but neither"):
        stanza(**tls)
    secure = stanza(**tls, scheduler_config_ca_file="/ca")
    assert secure == Stanza(url_prefix="https://127.0.0.1:8888/scheduler", enable_https=True, ca_file="/ca")


def test_everything_can_be_set() -> None:
    assert ours(
        url_prefix=URL,
        weight="20",
        node_cache_capable="false",
        http_timeout="10s",
        ignorable="true",
        ca_file="/ca",
        cert_file="/cert",
        key_file="/key",
        server_name="spotmix",
    ) == Stanza(
        url_prefix=URL,
        weight=20,
        node_cache_capable=False,
        http_timeout="10s",
        ignorable=True,
        enable_https=True,
        ca_file="/ca",
        cert_file="/cert",
        key_file="/key",
        server_name="spotmix",
    )


def test_the_ca_is_the_configured_one_before_the_known_one() -> None:
    for given in (PEM, base64.b64encode(PEM.encode()).decode()):
        assert ours(b"known", url_prefix=URL, ca_data=given).ca_data.strip() == PEM.strip().encode()
    assert ours(b"known", url_prefix=URL).ca_data == b"known"
    assert ours(b"known", url_prefix=URL, ca_file="/ca").ca_data == b""
    assert ours(b"known", url_prefix="http://x").ca_data == b""


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"url_prefix": "spotmix:8888"}, "urlPrefix is 'spotmix:8888'; write http"),
        ({"url_prefix": "ftp://a/b"}, "urlPrefix is 'ftp://a/b'"),
        ({"url_prefix": "http://"}, "write http"),
        ({"url_prefix": "http://a:b/c"}, "Port could not be cast"),
        ({"url_prefix": "http://[a"}, "Invalid IPv6 URL"),
        ({"url_prefix": "http://a/b?c"}, "urlPrefix is 'http://a/b.c'"),
        ({"url_prefix": "http://a/b c"}, "urlPrefix is"),
        ({"url_prefix": "http://a/\u2028"}, "urlPrefix is"),
        ({"url_prefix": URL}, "neither schedulerConfig.caFile nor caData"),
        (
            {"ca_file": "/ca"},
            "caFile is set, but the address http://127.0.0.1:8888/scheduler is plain HTTP; write https",
        ),
        ({"ca_data": PEM}, "caData is set, but"),
        ({"url_prefix": URL, "ca_file": "/c\n"}, "caFile is '/c.n'; remove the control characters"),
        ({"url_prefix": URL, "ca_file": "/ca", "key_file": "/k"}, "only one of certFile and keyFile"),
        ({"url_prefix": URL, "ca_data": "/ca.crt"}, "caData begins '/ca.crt' and is no certificate; give a PEM"),
        ({"url_prefix": URL, "ca_data": "QUJD"}, "caData begins 'QUJD' and is no certificate"),
        ({"http_timeout": "0"}, "httpTimeout is '0', which the scheduler reads as 5s"),
        ({"weight": "-1"}, "SPOTMIX_SCHEDULER_CONFIG_WEIGHT: '-1' is wrong"),
        ({"http_timeout": "fast"}, "is not a duration"),
    ],
)
def test_what_does_not_fit_is_named(settings: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ours(**settings)
