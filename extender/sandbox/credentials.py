"""Keys, certificates and kubeconfig files of one control plane.

One certificate authority signs the serving certificate of all components and a client certificate for each
user: a certificate's common name is the user, its organizations are the groups. So a kubeconfig for any user
can be written at any time, and RBAC alone decides what that user may do.

The API server verifies the client's certificate anew at every request. The authority's key is RSA, because
that takes a fraction of the time of an elliptic curve's verification, which was a fifth of all its work.
"""

import base64
import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from extender.sandbox.ports import LOOPBACK

_DNS_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_LIFETIME = dt.timedelta(days=365)
# A clock that was just stepped back must not make a fresh certificate "not yet valid".
_BACKDATED = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


class PlaneCredentials:
    """The certificate authority and what it signed, as files (keys mode 0600) in one directory.

    Attributes:
        ca_path: certificate of the authority, which components and users trust.
        front_proxy_ca_path: certificate of an authority that has signed nothing and never will.
        serving_path, serving_key_path: TLS identity for 127.0.0.1 and localhost.
        service_account_key_path: private key that signs service account tokens.
        probe: client identity of a system:masters member, files for an `ssl` context.
    """

    def __init__(self, directory: Path) -> None:
        """Make the authority and write the files into `directory`, which has to be private."""
        self._ca_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ca_name = _name("spotmix-sandbox")
        self._ca_pem = _self_signed(self._ca_name, self._ca_key)
        self.ca_path = _write(directory / "ca.crt", self._ca_pem)
        unused = _self_signed(_name("spotmix-sandbox-front-proxy"), ec.generate_private_key(ec.SECP256R1()))
        self.front_proxy_ca_path = _write(directory / "front-proxy-ca.crt", unused)
        serving = self._issue(
            _name("kube-apiserver"),
            ExtendedKeyUsageOID.SERVER_AUTH,
            [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), *(x509.DNSName(name) for name in _DNS_NAMES)],
        )
        self.serving_path = _write(directory / "serving.crt", serving.certificate)
        self.serving_key_path = _write(directory / "serving.key", serving.key)
        self.service_account_key_path = _write(
            directory / "service-account.key", _pem(ec.generate_private_key(ec.SECP256R1()))
        )
        probe = self.client("sandbox-probe", ("system:masters",))
        self.probe = _write(directory / "probe.pem", probe.certificate + probe.key)

    def client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Return a client identity that the API server takes for `user`, a member of `groups`."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        return self._issue(x509.Name(attributes), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def write_kubeconfig(self, path: Path, server: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig that needs no other file.

        Args:
            path: file to write.
            server: URL of the API server.
            user: user name.
            groups: groups the user is in, beside `system:authenticated`.
        """
        identity = self.client(user, groups)
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "sandbox",
                    "cluster": {"server": server, "certificate-authority-data": _base64(self._ca_pem)},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(identity.certificate),
                        "client-key-data": _base64(identity.key),
                    },
                }
            ],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}],
            "current-context": "sandbox",
        }
        return _write(path, yaml.safe_dump(document, sort_keys=False).encode())

    def _issue(self, subject: x509.Name, purpose: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key())
        builder = (
            _builder(subject, self._ca_name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._ca_key, hashes.SHA256())
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _self_signed(name: x509.Name, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    certificate = (
        _builder(name, name, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # SEC 1 ("EC PRIVATE KEY"), the form that both Go and OpenSSL have always read.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600, exist_ok=True)
    path.write_bytes(content)
    return path


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
