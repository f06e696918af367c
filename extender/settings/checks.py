"""Settings that have to fit together, whichever places they come from."""

import ipaddress

from extender.core.model.errors import ConfigError
from extender.core.policy.values import parse_duration
from extender.settings.certificates import OwnCertificateSettings
from extender.settings.sections import Settings
from extender.settings.sections.drift import DriftSettings
from extender.settings.sections.ports import ApiTlsSettings, ExpanderTlsSettings, MetricsTlsSettings, TlsSettings
from extender.settings.sections.process import LeaderElectionSettings
from extender.settings.sections.webhook import WebhookSettings

# Candidates wait up to this many times longer between two attempts (client-go's JitterFactor).
ELECTION_JITTER = 1.2
# The drift loop looks at everything that often at most (seconds).
MIN_INTERVAL = 5.0


def check_together(settings: Settings) -> None:
    """Check what a setting alone does not say.

    Raises:
        ConfigError: names the settings and the values seen.
    """
    _check_tls("extender", settings.extender.tls)
    _check_tls("api", settings.api.tls)
    _check_tls("expander", settings.expander.tls)
    _check_pair("metrics", settings.metrics.tls)
    half_life = settings.extender.interruption_half_life
    if parse_duration(half_life) <= 0:
        raise ConfigError(f"extender.interruptionHalfLife={half_life!r} has to be above 0, such as 1h")
    _check_election(settings.leader_election)
    _check_certificates("webhook.certificates", settings.webhook.certificates)
    _check_certificates("extender.certificates", settings.extender.certificates)
    if settings.extender.tls.cert and settings.extender.certificates.secret:
        raise ConfigError("extender.tls and extender.certificates.secret exclude each other: keep one of the two")
    _check_webhook(settings.webhook)
    _check_drift(settings.drift)


def _check_pair(section: str, tls: TlsSettings | ApiTlsSettings | ExpanderTlsSettings | MetricsTlsSettings) -> None:
    if bool(tls.cert) != bool(tls.key):
        raise ConfigError(f"{section}.tls has only one of cert and key; give both, or neither to serve without TLS")


def _check_tls(section: str, tls: TlsSettings | ApiTlsSettings | ExpanderTlsSettings) -> None:
    _check_pair(section, tls)
    if tls.client_ca and not tls.cert:
        raise ConfigError(f"{section}.tls.clientCa needs cert and key: clients show certificates by TLS only")


def _check_election(election: LeaderElectionSettings) -> None:
    duration, deadline, period = (
        parse_duration(text) for text in (election.lease_duration, election.renew_deadline, election.retry_period)
    )
    if deadline >= duration:
        raise ConfigError(
            f"leaderElection.renewDeadline={election.renew_deadline!r} is not below "
            f"leaderElection.leaseDuration={election.lease_duration!r}: two replicas could decide at once"
        )
    if period * ELECTION_JITTER >= deadline:
        raise ConfigError(
            f"leaderElection.retryPeriod={election.retry_period!r} times {ELECTION_JITTER:g} is not below "
            f"leaderElection.renewDeadline={election.renew_deadline!r}: one failed renewal would lose the lease"
        )
    if period <= 0 or duration < 1:
        raise ConfigError(
            "leaderElection.retryPeriod has to be above 0 and leaseDuration at least 1s; seen "
            f"{election.retry_period!r} and {election.lease_duration!r}"
        )


def _check_certificates(section: str, certificates: OwnCertificateSettings) -> None:
    validity, ca_validity, before = (
        parse_duration(text) for text in (certificates.validity, certificates.ca_validity, certificates.renew_before)
    )
    if not 0 < before < validity:
        raise ConfigError(
            f"{section}.renewBefore={certificates.renew_before!r} is not between 0 and "
            f"{section}.validity={certificates.validity!r}"
        )
    if ca_validity <= validity + before:
        raise ConfigError(
            f"{section}.caValidity={certificates.ca_validity!r} is not above validity and renewBefore together "
            f"({certificates.validity!r}, {certificates.renew_before!r}): the CA has to outlive the next certificate"
        )
    for address in certificates.ip_addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ConfigError(f"{section}.ipAddresses: {address!r} is no IP address") from error
    if certificates.secret and not (certificates.service or certificates.dns_names or certificates.ip_addresses):
        raise ConfigError(f"{section} names no service, dnsNames or ipAddresses: nobody could verify the certificate")


def _check_webhook(webhook: WebhookSettings) -> None:
    if bool(webhook.tls.cert) != bool(webhook.tls.key):
        raise ConfigError("webhook.tls has only one of cert and key; give both")
    if webhook.tls.cert and webhook.certificates.secret:
        raise ConfigError("webhook.tls and webhook.certificates.secret exclude each other: keep one of the two")
    if webhook.enabled and not (webhook.tls.cert or webhook.certificates.secret):
        raise ConfigError(
            "webhook.enabled needs a certificate: give webhook.tls.cert and webhook.tls.key, or name a Secret by "
            "webhook.certificates.secret"
        )


def _check_drift(drift: DriftSettings) -> None:
    if parse_duration(drift.interval) < MIN_INTERVAL:
        raise ConfigError(
            f"drift.interval={drift.interval!r} is below {MIN_INTERVAL:g}s; what changes is looked at without it too"
        )
    for name, text in (
        ("backOff", drift.back_off),
        ("circuitWindow", drift.circuit_window),
        ("circuitReset", drift.circuit_reset),
        ("replacementTimeout", drift.replacement_timeout),
    ):
        if parse_duration(text) <= 0:
            raise ConfigError(f"drift.{name}={text!r} is not above 0: moves in vain would be repeated without end")
    if parse_duration(drift.max_back_off) < parse_duration(drift.back_off):
        raise ConfigError(
            f"drift.maxBackOff={drift.max_back_off!r} is below drift.backOff={drift.back_off!r}; "
            "give it at least the same"
        )
