"""When CA and certificate are replaced, and by what: a pure function of what is stored and of the time.

A new CA is stored, and so trusted, before a certificate that it signed is served; the old one stays trusted for as long
after that. All replicas and all API servers have the time of `Rules.overlap` to follow each step. The steps are told
apart by the certificates themselves, so that every replica at every time comes to the same conclusion. What has not
begun is replaced like what has ended: it was made while a clock was wrong, and nobody can verify it. If the wrong clock
is ours, and behind, what we make is valid for the others too::

    bundle  old      new old      new old      new
    leaf    old      old          new          new
            |- CA is due -|- overlap -|- overlap -|
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from extender.pki.x509 import (
    Authority,
    Names,
    belong_together,
    ends,
    is_issued_by,
    is_valid,
    issue,
    issue_ca,
    issued,
    names_of,
    read_certificates,
    read_key,
    write_certificates,
    write_key,
)

CA, CA_KEY, CERT, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
CLIENT_CERT, CLIENT_KEY = "client.crt", "client.key"
CLIENT = Names(("spotmix-extender-client",))
"""The name in the certificate that clients show."""
MAX_OVERLAP = 600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What certificates shall be like. Durations in seconds; 0 < renew_before < validity, and ca_validity above both.

    `early` is in (0, 1]: the share of `renew_before` at which this replica acts, so that not all act at once. With
    `clients` there is a certificate too that clients show.
    """

    names: Names
    validity: float
    ca_validity: float
    renew_before: float
    early: float = 1.0
    clients: bool = False

    @property
    def overlap(self) -> float:
        """How long each step of an exchange of CAs is given (seconds)."""
        return min(MAX_OVERLAP, self.renew_before / 2)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored, as far as it can be read; `faults` tell the rest. `cas` are those trusted, the newest first."""

    data: Mapping[str, bytes]
    cas: tuple[x509.Certificate, ...] = ()
    ca_key: ec.EllipticCurvePrivateKey | None = None
    cert: x509.Certificate | None = None
    faults: tuple[str, ...] = ()

    @property
    def authority(self) -> Authority | None:
        """The newest CA with its key."""
        return Authority(self.cas[0], self.ca_key) if self.cas and self.ca_key is not None else None

    @property
    def empty(self) -> bool:
        """Whether there is nothing yet."""
        return not any(self.data.get(key) for key in (CA, CA_KEY, CERT, KEY))

    @property
    def foreign(self) -> bool:
        """Whether the certificate is somebody else's: there is no key to replace it with."""
        return bool(self.data.get(CERT) and self.data.get(KEY)) and not self.data.get(CA_KEY)


@dataclass(frozen=True, slots=True)
class Step:
    """What to store instead (None: leave it), why, and when to look again (seconds since the epoch)."""

    data: Mapping[str, bytes] | None
    why: str
    due: float


def read_stored(data: Mapping[str, bytes]) -> Stored:
    """Read what is stored; what cannot be read is told in `faults`."""
    faults: list[str] = []
    cas: list[x509.Certificate] = []
    certs: list[x509.Certificate] = []
    ca_key = None
    if data.get(CA):
        try:
            cas = read_certificates(data[CA])
        except ValueError as error:
            faults.append(f"{CA} is no PEM file of certificates ({_short(error)})")
    if data.get(CA_KEY):
        try:
            ca_key = read_key(data[CA_KEY])
        except ValueError as error:
            faults.append(f"{CA_KEY} is no PEM file of an elliptic-curve key ({_short(error)})")
        if ca_key is not None and not (cas and belong_together(cas[0], ca_key)):
            faults.append(f"{CA_KEY} is not the key of the first certificate of {CA}")
            ca_key = None
    try:
        certs = read_certificates(data.get(CERT, b""))
    except ValueError as error:
        faults.append(f"{CERT} is no PEM file of certificates ({_short(error)})")
    return Stored(data, tuple(cas), ca_key, certs[0] if certs else None, tuple(faults))


def _short(error: ValueError) -> str:
    return str(error).partition(".")[0][:100]


def next_step(stored: Stored, rules: Rules, now: float, *, trusted: bool) -> Step:
    """What to do about CA and certificates at `now` (seconds since the epoch).

    Args:
        stored: what there is, which must not be somebody else's.
        rules: what it shall be like.
        now: the time of day.
        trusted: whether all who verify are known to trust the stored CAs.
    """
    step = _next_serving(stored, rules, now, trusted=trusted)
    return _next_client(stored, rules, now, step) if rules.clients and step.data is None else step


def _next_client(stored: Stored, rules: Rules, now: float, step: Step) -> Step:
    """What to do about the certificate that clients show, where nothing is to be done about the others (`step`)."""
    authority, serving = stored.authority, stored.cert
    if authority is None or serving is None:
        return step
    found = _pair(stored.data.get(CLIENT_CERT, b""), stored.data.get(CLIENT_KEY, b""))
    # With the serving certificate it goes over to a new CA.
    issuer = authority.cert if is_issued_by(serving, authority.cert) else None
    if found is not None and is_valid(found, now):
        due = ends(found) - rules.renew_before * rules.early
        if now < due and (is_issued_by(found, issuer) if issuer else _trusted(found, stored, now)):
            return Step(None, "", min(step.due, due))
    cert, key = issue(authority, CLIENT, now, rules.validity, client=True)
    data = {**stored.data, CLIENT_CERT: write_certificates([cert]), CLIENT_KEY: write_key(key)}
    return Step(data, "new client certificate", now)


def _next_serving(stored: Stored, rules: Rules, now: float, *, trusted: bool) -> Step:
    authority, cert = stored.authority, stored.cert
    usable = _usable(stored, now)
    early = rules.renew_before * rules.early
    if authority is None or not is_valid(authority.cert, now):
        return _with_new_ca(stored, rules, now, "there was no valid CA", keep=usable)
    ca = authority.cert
    if cert is None or not usable:
        return _with_new_cert(stored, authority, rules, now, "there was no valid certificate")
    if not is_issued_by(cert, ca):
        switch = issued(ca) + rules.overlap
        if now >= switch and trusted:
            return _with_new_cert(stored, authority, rules, now, "the new CA is trusted")
        return Step(None, "", min(ends(cert), max(switch, now + rules.overlap / 10)))
    if ends(ca) - now <= rules.validity + early:
        return _with_new_ca(stored, rules, now, "the CA was about to expire", keep=True)
    if not rules.names.within(names_of(cert)):
        return _with_new_cert(stored, authority, rules, now, "it lacked names")
    if ends(cert) - now <= early:
        return _with_new_cert(stored, authority, rules, now, "the certificate was about to expire")
    drop = issued(cert) + rules.overlap if len(stored.cas) > 1 else float("inf")
    if now >= drop:
        return Step({**stored.data, CA: write_certificates([ca])}, "the old CA is not needed any more", now)
    return Step(None, "", min(drop, ends(cert) - early, ends(ca) - rules.validity - early))


def _usable(stored: Stored, now: float) -> bool:
    """Whether the stored certificate serves: valid, with its key, of a CA that is trusted."""
    cert = _pair(stored.data.get(CERT, b""), stored.data.get(KEY, b""))
    return cert is not None and is_valid(cert, now) and _trusted(cert, stored, now)


def _pair(pem: bytes, key: bytes) -> x509.Certificate | None:
    """The first certificate of a PEM file, if this is its key."""
    try:
        cert = read_certificates(pem)[0]
        return cert if belong_together(cert, read_key(key)) else None
    except ValueError:
        return None


def _trusted(cert: x509.Certificate, stored: Stored, now: float) -> bool:
    """Whether a CA that is trusted has signed a certificate."""
    return any(is_issued_by(cert, ca) and is_valid(ca, now) for ca in stored.cas)


def start_over(stored: Stored, rules: Rules, now: float) -> Step:
    """What to store when that was deleted which is still being served: a new CA, with time to get about."""
    return _with_new_ca(stored, rules, now, "it was deleted", keep=_usable(stored, now))


def _with_new_ca(stored: Stored, rules: Rules, now: float, why: str, *, keep: bool) -> Step:
    """Trust a new CA beside those before it; a certificate that is good stays until that has got about."""
    ca = issue_ca(now, rules.ca_validity)
    cas = (ca.cert, *(old for old in stored.cas if now < ends(old)))
    data = {**stored.data, CA: write_certificates(cas), CA_KEY: write_key(ca.key)}
    if keep:
        return Step(data, f"new CA: {why}", now)
    return _with_new_cert(Stored(data, cas, ca.key), ca, rules, now, why)


def _with_new_cert(stored: Stored, ca: Authority, rules: Rules, now: float, why: str) -> Step:
    # Replicas of two versions may want different names for a while: neither takes the other's away.
    names = rules.names
    if stored.cert is not None and not names.within(names_of(stored.cert)):
        names = names.union(names_of(stored.cert))
    cert, key = issue(ca, names, now, rules.validity)
    cas = [old for old in stored.cas if now < ends(old)]
    data = {**stored.data, CA: write_certificates(cas), CERT: write_certificates([cert]), KEY: write_key(key)}
    return Step(data, f"new certificate: {why}", now)
