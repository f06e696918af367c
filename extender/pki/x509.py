"""A certificate authority of our own and the certificates it issues: ECDSA P-256, PEM in and out."""

import datetime as dt
import ipaddress
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATE = 300.0
"""Seconds by which a certificate begins before it is issued: the clocks of those who verify it may be behind."""

_MAX_COMMON_NAME = 64


@dataclass(frozen=True, slots=True)
class Names:
    """What a serving certificate is valid for."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...] = ()

    def union(self, other: "Names") -> "Names":
        """These names and those."""
        return Names(
            tuple(dict.fromkeys((*self.dns, *other.dns))), tuple(dict.fromkeys((*self.addresses, *other.addresses)))
        )

    def within(self, other: "Names") -> bool:
        """Whether the other has all of these."""
        return set(self.dns) <= set(other.dns) and set(self.addresses) <= set(other.addresses)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The DNS names that a Service is called by."""
    full = (service, namespace, "svc", "cluster", "local")
    return tuple(".".join(full[:parts]) for parts in (1, 2, 3, 5))


def begins(cert: x509.Certificate) -> float:
    """Seconds since the epoch from which a certificate is valid."""
    return cert.not_valid_before_utc.timestamp()


def ends(cert: x509.Certificate) -> float:
    """Seconds since the epoch until which a certificate is valid."""
    return cert.not_valid_after_utc.timestamp()


@dataclass(frozen=True, slots=True)
class Validity:
    """From when and until when a certificate is valid, in seconds since the epoch."""

    begins: float
    ends: float

    def fault(self, now: float) -> str:
        """Why it is not valid at `now`; empty when it is."""
        if now < self.begins:
            return "not valid yet"
        return "expired" if now >= self.ends else ""


def validity_of(cert: x509.Certificate) -> Validity:
    """When a certificate is valid."""
    return Validity(begins(cert), ends(cert))


def is_valid(cert: x509.Certificate, now: float) -> bool:
    """Whether a certificate is valid at `now`: it has begun, and not ended."""
    return not validity_of(cert).fault(now)


def issued(cert: x509.Certificate) -> float:
    """Seconds since the epoch at which a certificate of ours was issued."""
    return begins(cert) + BACKDATE


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order.

    Raises:
        ValueError: it holds none, or one that cannot be read.
    """
    return x509.load_pem_x509_certificates(pem)


def first_validity(pem: bytes) -> Validity:
    """When the first certificate of a PEM file is valid, the server's own.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    return validity_of(read_certificates(pem)[0])


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """An elliptic-curve key, as we make them.

    Raises:
        ValueError: it is none.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("the key is encrypted") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is no elliptic-curve key")  # noqa: TRY004 - a value of the file, not of the program
    return key


def write_certificates(certs: Iterable[x509.Certificate]) -> bytes:
    """Certificates as one PEM file."""
    return b"".join(cert.public_bytes(serialization.Encoding.PEM) for cert in certs)


def write_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def names_of(cert: x509.Certificate) -> Names:
    """What a certificate is valid for."""
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return Names(())
    return Names(
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def is_issued_by(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    """Whether a CA signed a certificate."""
    try:
        cert.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def belong_together(cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    """Whether a key is that of a certificate."""
    return cert.public_key() == key.public_key()


def issue_ca(now: float, validity: float) -> Authority:
    """Make a certificate authority that is valid for `validity` seconds from `now` on."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # Two of them are trusted at a time: they must not have the same name.
    name = _name(f"spotmix CA {serial:040x}"[:_MAX_COMMON_NAME])
    usage = _usage(signs_certificates=True)
    cert = (
        _builder(name, name, key, serial, (now, now + validity))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(cert, key)


def issue(
    ca: Authority, names: Names, now: float, validity: float, *, client: bool = False
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a certificate that is valid for `validity` seconds from `now` on, but not beyond its CA.

    It is one for a server, or for a `client` to show.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    common = next((name for name in names.dns if len(name) <= _MAX_COMMON_NAME), "spotmix")
    times = (now, min(now + validity, ends(ca.cert)))
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    public = ca.key.public_key()
    cert = (
        _builder(_name(common), ca.cert.subject, key, x509.random_serial_number(), times)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    return cert, key


def _general_names(names: Names) -> Sequence[x509.GeneralName]:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in names.addresses]
    return [*(x509.DNSName(name) for name in names.dns), *addresses]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    times: tuple[float, float],
) -> x509.CertificateBuilder:
    # Whole seconds: never valid for longer than asked for, and never issued earlier than it was.
    whole = (math.ceil(times[0] - BACKDATE), math.floor(times[1]))
    begin, end = (dt.datetime.fromtimestamp(seconds, dt.UTC) for seconds in whole)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
