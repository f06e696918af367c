"""The objects that serving certificates live in: a Secret, and the webhook configurations that name a CA."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.model.errors import WireError


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Secret(Struct, frozen=True):
    metadata: _Metadata
    data: dict[str, str | None] | None = None


class _ClientConfig(Struct, frozen=True, rename="camel"):
    ca_bundle: str | None = None


class _Webhook(Struct, frozen=True, rename="camel"):
    name: str
    client_config: _ClientConfig = _ClientConfig()


class _Configuration(Struct, frozen=True):
    metadata: _Metadata
    webhooks: list[_Webhook] | None = None


class Secret(Struct, frozen=True):
    """A Secret: its resourceVersion, annotations and data."""

    version: str
    annotations: Mapping[str, str]
    data: Mapping[str, bytes]


class Configuration(Struct, frozen=True):
    """A Mutating- or ValidatingWebhookConfiguration: its resourceVersion, and its webhooks' CA bundles by name."""

    version: str
    bundles: Mapping[str, bytes]


_secret = msgspec.json.Decoder(_Secret)
_configuration = msgspec.json.Decoder(_Configuration)


def decode_secret(body: bytes) -> Secret:
    """Decode a Secret.

    Raises:
        WireError: the body is none; the text names the field.
    """
    try:
        raw = _secret.decode(body)
        data = {key: base64.b64decode(value, validate=True) for key, value in (raw.data or {}).items() if value}
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
        raise WireError(f"the Secret does not decode: {error}") from error
    return Secret(raw.metadata.resource_version, raw.metadata.annotations or {}, data)


def decode_configuration(body: bytes) -> Configuration:
    """Decode a webhook configuration. A bundle that is no base64 counts as none.

    Raises:
        WireError: the body is none; the text names the field.
    """
    try:
        raw = _configuration.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the webhook configuration does not decode: {error}") from error
    bundles = {}
    for webhook in raw.webhooks or ():
        try:
            bundles[webhook.name] = base64.b64decode(webhook.client_config.ca_bundle or "")
        except binascii.Error:
            bundles[webhook.name] = b""
    return Configuration(raw.metadata.resource_version, bundles)


def secret_fields(data: Mapping[str, bytes], annotations: Mapping[str, str], version: str = "") -> dict[str, Any]:
    """What to write into a Secret; `version` is the resourceVersion that it must still have."""
    metadata: dict[str, Any] = {"annotations": dict(annotations)}
    if version:
        metadata["resourceVersion"] = version
    return {"metadata": metadata, "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}


def bundle_fields(names: list[str], bundle: bytes, version: str) -> dict[str, Any]:
    """A strategic merge patch (webhooks merge by name) that sets the CA bundle of webhooks at `version`."""
    encoded = base64.b64encode(bundle).decode()
    return {
        "metadata": {"resourceVersion": version},
        "webhooks": [{"name": name, "clientConfig": {"caBundle": encoded}} for name in names],
    }
