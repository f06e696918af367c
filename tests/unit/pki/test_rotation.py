"""When CA and certificate are replaced, over years, by replicas that look at odd times."""

import dataclasses
import functools
from collections.abc import Mapping

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from extender.pki.rotation import (
    CA,
    CA_KEY,
    CERT,
    CLIENT_CERT,
    CLIENT_KEY,
    KEY,
    Rules,
    Stored,
    next_step,
    read_stored,
    start_over,
)
from extender.pki.x509 import (
    BACKDATE,
    Names,
    begins,
    belong_together,
    ends,
    is_issued_by,
    issue,
    issue_ca,
    names_of,
    read_certificates,
    read_key,
    service_names,
    write_certificates,
    write_key,
)

HOUR = 3600.0
RULES = Rules(Names(("web", "web.shop.svc"), ("127.0.0.1",)), 90 * 24 * HOUR, 3650 * 24 * HOUR, 30 * 24 * HOUR)
SHORT = Rules(Names(("a",)), 10.0, 30.0, 4.0)
START = 1_800_000_000.0


def fresh(rules: Rules = RULES, now: float = START) -> Stored:
    step = next_step(read_stored({}), rules, now, trusted=False)
    assert step.data is not None
    return read_stored(step.data)


def settled(stored: Stored, rules: Rules, now: float, *, trusted: bool = True) -> Stored:
    """Take all steps that are due."""
    for _ in range(5):
        step = next_step(stored, rules, now, trusted=trusted)
        if step.data is None:
            assert step.due > now
            return stored
        stored = read_stored(step.data)
        assert stored.faults == ()
    raise AssertionError("it does not come to rest")


def test_what_is_made_from_nothing() -> None:
    stored = fresh()
    assert set(stored.data) == {CA, CA_KEY, CERT, KEY}
    assert stored.cert is not None
    assert names_of(stored.cert) == RULES.names
    assert begins(stored.cert) == START - BACKDATE
    assert ends(stored.cert) == START + RULES.validity
    (ca,) = stored.cas
    assert ends(ca) == START + RULES.ca_validity
    assert is_issued_by(stored.cert, ca)
    step = next_step(stored, RULES, START, trusted=False)
    assert (step.data, step.due) == (None, START + 60 * 24 * HOUR)


def test_a_certificate_is_renewed_and_the_ca_stays() -> None:
    old = fresh()
    due = next_step(old, RULES, START, trusted=True).due
    assert next_step(old, RULES, due - 1, trusted=True).data is None
    new = settled(old, RULES, due)
    assert new.cert != old.cert
    assert (new.data[CA], new.data[CA_KEY]) == (old.data[CA], old.data[CA_KEY])


def test_replicas_do_not_all_act_at_once() -> None:
    late = dataclasses.replace(RULES, early=0.9)
    difference = next_step(fresh(), late, START, trusted=True).due - next_step(fresh(), RULES, START, trusted=True).due
    assert difference == pytest.approx(3 * 24 * HOUR)


def test_a_ca_is_exchanged_in_three_steps() -> None:
    old = fresh(SHORT)
    at = START + 16
    old = settled(settled(old, SHORT, START + 6), SHORT, START + 12)
    trusted = settled(old, SHORT, at)
    assert (trusted.cert, len(trusted.cas), trusted.cas[1]) == (old.cert, 2, old.cas[0])
    # Served by the old one for as long as the overlap, and while it is not known to be trusted.
    assert settled(trusted, SHORT, at + SHORT.overlap - 0.1).cert == old.cert
    assert settled(trusted, SHORT, at + SHORT.overlap, trusted=False).cert == old.cert
    served = settled(trusted, SHORT, at + SHORT.overlap)
    assert served.cert is not None
    assert is_issued_by(served.cert, trusted.cas[0])
    assert served.cas == trusted.cas
    alone = settled(served, SHORT, at + 2 * SHORT.overlap)
    assert alone.cas == trusted.cas[:1]
    assert alone.cert == served.cert


def test_the_next_look_is_in_time_for_the_ca_too() -> None:
    stored = settled(settled(fresh(SHORT), SHORT, START + 6), SHORT, START + 12)
    # The certificate would do until 18; what it is issued with then would outlive the CA, which ends at 30.
    step = next_step(stored, SHORT, START + 12, trusted=True)
    assert (step.data, step.due) == (None, START + 16)


def test_a_ca_that_nobody_is_known_to_trust_serves_only_when_nothing_else_is_left() -> None:
    stored = settled(settled(settled(fresh(SHORT), SHORT, START + 6), SHORT, START + 12), SHORT, START + 16)
    assert stored.cert is not None
    end = ends(stored.cert)
    assert settled(stored, SHORT, end - 0.5, trusted=False).cert == stored.cert
    after = settled(stored, SHORT, end, trusted=False)
    assert after.cert is not None
    assert is_issued_by(after.cert, stored.cas[0])


@given(st.lists(st.floats(min_value=0.01, max_value=2.0), min_size=60, max_size=120))
@examples(25)
def test_whoever_is_one_overlap_behind_still_verifies(pauses: list[float]) -> None:
    """What is served now is trusted by whoever knows the bundle of up to an overlap ago, and the other way round."""
    now, stored = START, fresh(SHORT)
    history = [(now, stored)]
    # The same few certificates are asked about again and again.
    issued = functools.cache(is_issued_by)
    for pause in pauses:
        now += min(pause, SHORT.overlap)
        stored = settled(stored, SHORT, now)
        assert stored.cert is not None
        assert now < ends(stored.cert)
        history.append((now, stored))
        # All that was in force within the last overlap, and what was when that began.
        recent = [index for index, (at, _) in enumerate(history) if at > now - SHORT.overlap + 1e-6]
        for _, then in history[max(0, recent[0] - 1) :]:
            assert then.cert is not None
            assert any(issued(stored.cert, ca) for ca in then.cas)
            assert any(issued(then.cert, ca) for ca in stored.cas)


def test_after_years_of_standstill_all_is_made_anew() -> None:
    old = fresh()
    new = settled(old, RULES, START + 2 * RULES.ca_validity, trusted=False)
    assert len(new.cas) == 1
    assert new.cas[0] not in old.cas
    assert new.cert is not None
    assert is_issued_by(new.cert, new.cas[0])


def test_a_clock_that_is_a_little_behind_replaces_nothing() -> None:
    stored = fresh()
    assert next_step(stored, RULES, START - BACKDATE, trusted=True).data is None


@pytest.mark.parametrize("ahead", [BACKDATE + 1, HOUR, 40 * 24 * HOUR, 20 * 365 * 24 * HOUR])
@pytest.mark.parametrize("trusted", [False, True])
def test_what_was_made_while_the_clock_was_ahead_is_made_anew(ahead: float, trusted: bool) -> None:
    wrong = fresh(now=START + ahead)
    right = settled(wrong, RULES, START, trusted=trusted)
    assert right.cert is not None
    assert begins(right.cert) <= START < ends(right.cert)
    assert begins(right.cas[0]) <= START < ends(right.cas[0])
    assert is_issued_by(right.cert, right.cas[0])
    # Whoever has the wrong clock still is at rest with it: replicas do not take turns.
    if ahead < RULES.validity - RULES.renew_before:
        assert settled(right, RULES, START + ahead).cert == right.cert


def test_a_certificate_alone_that_has_not_begun_is_made_anew_by_its_ca() -> None:
    stored = fresh()
    assert stored.authority is not None
    cert, key = issue(stored.authority, RULES.names, START + HOUR, HOUR)
    odd = broken(stored, tls_crt=write_certificates([cert]), tls_key=write_key(key))
    mended = settled(odd, RULES, START)
    assert mended.cas == stored.cas
    assert mended.cert is not None
    assert begins(mended.cert) <= START < ends(mended.cert)


def test_names_are_added_and_never_taken_from_another_replica() -> None:
    one = dataclasses.replace(RULES, names=Names(("a", "b")))
    two = dataclasses.replace(RULES, names=Names(("b", "c"), ("::1",)))
    stored = settled(fresh(one), two, START + 1)
    assert stored.cert is not None
    assert set(names_of(stored.cert).dns) == {"a", "b", "c"}
    assert next_step(stored, one, START + 2, trusted=True).data is None
    # Renewal cleans up.
    renewed = settled(stored, two, START + RULES.validity - HOUR)
    assert renewed.cert is not None
    assert names_of(renewed.cert) == two.names


def broken(stored: Stored, **data: bytes | None) -> Stored:
    changed: Mapping[str, bytes | None] = {**stored.data, **{key.replace("_", "."): v for key, v in data.items()}}
    return read_stored({key: value for key, value in changed.items() if value is not None})


def test_what_is_broken_is_told_and_as_little_as_possible_is_replaced() -> None:
    good, other = fresh(), fresh()
    for bad, fault, ca_stays, cert_stays in (
        (broken(good, tls_crt=b"x"), "tls.crt is no PEM file of certificates", True, False),
        (broken(good, tls_crt=None), "tls.crt is no PEM file of certificates", True, False),
        (broken(good, tls_crt=other.data[CERT]), "", True, False),
        (broken(good, tls_key=other.data[KEY]), "", True, False),
        (broken(good, tls_key=b"x"), "", True, False),
        (broken(good, ca_key=b"x"), "ca.key is no PEM file of an elliptic-curve key", False, True),
        (
            broken(good, ca_key=other.data[CA_KEY]),
            "ca.key is not the key of the first certificate of ca.crt",
            False,
            True,
        ),
        (broken(good, ca_crt=b"x"), "ca.crt is no PEM file of certificates", False, False),
        (broken(good, ca_crt=None), "ca.key is not the key", False, False),
    ):
        assert fault in "; ".join(bad.faults)
        assert bool(fault) == bool(bad.faults)
        mended = settled(bad, RULES, START + 1, trusted=False)
        assert mended.faults == ()
        assert (mended.cas[0] == good.cas[0], mended.cert == good.cert) == (ca_stays, cert_stays)
        assert mended.cert is not None
        assert any(is_issued_by(mended.cert, ca) for ca in mended.cas)


def test_what_was_deleted_is_replaced_as_if_its_ca_were_due() -> None:
    old = fresh()
    step = start_over(old, RULES, START + 1)
    assert step.data is not None
    new = read_stored(step.data)
    assert (new.cert, new.cas[1:]) == (old.cert, old.cas)
    served = settled(new, RULES, START + 1 + RULES.overlap)
    assert settled(served, RULES, START + 1 + 2 * RULES.overlap).cas == new.cas[:1]


def test_whose_it_is() -> None:
    stored = fresh()
    assert read_stored({"other": b"x", CERT: b""}).empty
    assert not stored.empty
    assert not stored.foreign
    assert broken(stored, ca_key=None).foreign
    assert not broken(stored, ca_key=None, tls_key=None).foreign


def test_names_of_a_service() -> None:
    assert service_names("web", "shop") == ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local")


def test_keys_of_other_kinds_are_told() -> None:
    ca = issue_ca(START, HOUR)
    assert read_key(write_key(ca.key)).private_numbers() == ca.key.private_numbers()
    with pytest.raises(ValueError, match=r"."):
        read_key(b"")
    leaf, _ = issue(ca, Names(("n" * 70 + ".io",)), START, 2 * HOUR)
    # It does not outlive its CA, and a name too long for the subject is a name all the same.
    assert ends(leaf) == ends(ca.cert)
    assert names_of(leaf).dns == ("n" * 70 + ".io",)
    assert names_of(ca.cert) == Names(())
    assert read_certificates(write_certificates([leaf, ca.cert])) == [leaf, ca.cert]


def client_of(stored: Stored) -> x509.Certificate:
    return read_certificates(stored.data[CLIENT_CERT])[0]


def test_clients_have_a_certificate_of_the_same_ca() -> None:
    rules = dataclasses.replace(RULES, clients=True)
    stored = settled(fresh(rules), rules, START)
    client = client_of(stored)
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert is_issued_by(client, stored.cas[0])
    assert belong_together(client, read_key(stored.data[CLIENT_KEY]))
    # Renewed before its end, and made anew where it is lost or another's.
    late = ends(client) - RULES.renew_before
    renewed = settled(stored, rules, late)
    assert ends(client_of(renewed)) == late + RULES.validity
    for wrong in (b"", b"no certificate", stored.data[CERT]):
        mended = settled(read_stored({**stored.data, CLIENT_CERT: wrong}), rules, START + 1)
        assert belong_together(client_of(mended), read_key(mended.data[CLIENT_KEY]))


def test_a_client_shows_what_is_trusted_all_along_an_exchange_of_cas() -> None:
    rules = dataclasses.replace(SHORT, clients=True)
    stored, now = settled(fresh(rules), rules, START), START
    seen = set()
    while now < START + 4 * rules.ca_validity:
        now += 0.25
        stored = settled(stored, rules, now)
        client = client_of(stored)
        assert now < ends(client)
        assert any(is_issued_by(client, ca) for ca in stored.cas)
        # Whoever has a client's file of a moment ago is let in too.
        seen.add(client)
        seen = {old for old in seen if now < ends(old) and ends(old) > now + rules.validity - rules.overlap / 2}
        assert all(any(is_issued_by(old, ca) for ca in stored.cas) for old in seen)
