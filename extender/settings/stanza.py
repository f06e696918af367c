"""Our entry in a scheduler's configuration, from the settings."""

import base64
import binascii
from urllib.parse import urlsplit

from extender.core.model.errors import ConfigError
from extender.core.policy.values import parse_duration
from extender.schedulerconfig.read import Stanza
from extender.settings.load import split_address
from extender.settings.sections import Settings

_PEM = b"-----BEGIN CERTIFICATE-----"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def stanza_from(settings: Settings, *, ca_data: bytes = b"") -> Stanza:
    """What our entry in `extenders` says.

    Without `schedulerConfig.urlPrefix` the address is what the extender listens on, loopback for all interfaces.

    Args:
        settings: the whole configuration.
        ca_data: PEM of the CA that signed our certificate, where the process knows it; configured ones win.

    Raises:
        ConfigError: the address is none, https has no CA, or files and data do not fit together.
    """
    given = settings.scheduler_config
    url = given.url_prefix or _own_address(settings)
    scheme = _scheme(url)
    files = {"caFile": given.ca_file, "certFile": given.cert_file, "keyFile": given.key_file}
    for name, value in {**files, "caData": given.ca_data, "serverName": given.server_name}.items():
        if value and scheme == "http":
            raise ConfigError(
                f"schedulerConfig.{name} is set, but the address {url} is plain HTTP; "
                "write https:// in schedulerConfig.urlPrefix"
            )
        if name != "caData" and not value.isprintable():
            raise ConfigError(f"schedulerConfig.{name} is {value!r}; remove the control characters")
    if bool(given.cert_file) != bool(given.key_file):
        raise ConfigError("schedulerConfig has only one of certFile and keyFile; give both, or neither")
    if parse_duration(given.http_timeout) <= 0:
        raise ConfigError(
            f"schedulerConfig.httpTimeout is {given.http_timeout!r}, which the scheduler reads as 5s; write 5s"
        )
    data = _pem(given.ca_data) or (b"" if given.ca_file else ca_data)
    if scheme == "https" and not (given.ca_file or data):
        raise ConfigError(
            f"the extender's address is {url}, but neither schedulerConfig.caFile nor caData is set: the scheduler "
            "would believe whoever answers there; give the CA of the extender's certificate"
        )
    https = scheme == "https"
    return Stanza(
        url_prefix=url.rstrip("/"),
        weight=given.weight,
        node_cache_capable=given.node_cache_capable,
        http_timeout=given.http_timeout.strip(),
        ignorable=given.ignorable,
        enable_https=https,
        ca_file=given.ca_file,
        ca_data=data if https else b"",
        cert_file=given.cert_file,
        key_file=given.key_file,
        server_name=given.server_name,
    )


def _own_address(settings: Settings) -> str:
    host, port = split_address(settings.extender.addr)
    host = _WILDCARDS.get(host, host)
    scheme = "https" if settings.extender.tls.cert or settings.extender.certificates.secret else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{settings.extender.url_prefix}"


def _scheme(url: str) -> str:
    fix = "write http(s)://host:port/path, such as http://127.0.0.1:8888/scheduler"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"schedulerConfig.urlPrefix is {url!r}: {error}; {fix}") from error
    if not good or parts.query or parts.fragment or parts.username or not url.isprintable() or " " in url:
        raise ConfigError(f"schedulerConfig.urlPrefix is {url!r}; {fix}")
    return parts.scheme


def _pem(text: str) -> bytes:
    """A CA's PEM, from PEM or its base64; empty for an empty text."""
    data = text.strip().encode()
    if data and _PEM not in data:
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise _no_pem(text) from error
    if data and _PEM not in data:
        raise _no_pem(text)
    return data


def _no_pem(text: str) -> ConfigError:
    fix = "give a PEM certificate or its base64, as `base64 -w0 ca.crt` prints it"
    return ConfigError(f"schedulerConfig.caData begins {text[:20]!r} and is no certificate; {fix}")
